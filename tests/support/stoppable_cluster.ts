import { withThrowawayCluster } from "../../local/database/throwaway_cluster.ts";
import { openPostgres } from "../../local/database/open_postgres.ts";
import { OperatorError } from "../../local/errors.ts";

/** A Postgres server that a test can stop and start. */
export interface StoppableCluster {
  readonly url: string;
  /** `pg_ctl stop -m fast`: open sessions are cut off, new ones refused. */
  stop(): Promise<void>;
  /** `pg_ctl start`, and waits until it takes connections. */
  start(): Promise<void>;
}

/** Runs work on a throwaway cluster; false if this machine has no Postgres programs. */
export async function withStoppableCluster(
  work: (cluster: StoppableCluster) => Promise<void>,
): Promise<boolean> {
  try {
    await withThrowawayCluster((url) => run(url, work));
    return true;
  } catch (error) {
    if (error instanceof OperatorError && /^Cannot find initdb/.test(error.message)) return false;
    throw error;
  }
}

async function run(url: string, work: (cluster: StoppableCluster) => Promise<void>): Promise<void> {
  const database = await openPostgres(url, { connections: 1 });
  const [found] = await database.query<{ data: string; bin: string }>(
    `select current_setting('data_directory') as data,
       (select setting from pg_config where name = 'BINDIR') as bin`,
  );
  await database.close();
  if (found === undefined) throw new Error("Cannot find the cluster's folder");
  const { data, bin } = found;
  const owner = await Deno.stat(data);
  // Postgres refuses to run as root.
  const user = Deno.uid() === 0 && owner.uid !== null ? { uid: owner.uid } : {};
  let restarted = false;

  async function control(...args: readonly string[]): Promise<void> {
    const { success, stdout } = await new Deno.Command(`${bin}/pg_ctl`, {
      args: ["-D", data, "-w", "-s", ...args],
      cwd: data,
      stdin: "null",
      stderr: "null",
      ...user,
    }).output();
    if (!success) throw new Error(`pg_ctl ${args.join(" ")}: ${new TextDecoder().decode(stdout)}`);
  }
  try {
    await work({
      url,
      stop: () => control("stop", "-m", "fast"),
      async start(): Promise<void> {
        const { port } = new URL(url);
        const options = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=`;
        await control("start", "-l", `${data}/restarted.log`, "-o", options);
        restarted = true;
      },
    });
  } finally {
    // The one that we started is nobody's child: the cluster's owner cannot end it.
    if (restarted) await control("stop", "-m", "immediate").catch(() => {});
  }
}
