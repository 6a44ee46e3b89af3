import postgres from "postgres";
import { messageOf, OperatorError } from "../errors.ts";
import { freePort } from "../free_port.ts";
import { readLines } from "../read_lines.ts";
import { clusterOwner } from "./cluster_owner.ts";
import { findPostgresPrograms } from "./postgres_programs.ts";

/** What differs from a cluster of Debian's programs with stock settings. */
export interface ClusterOptions {
  /** The folder with `initdb` and `postgres`; the one found on this machine if absent. */
  readonly programs?: string;
  /** Settings of the server by name, such as `{ fsync: "off" }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * Runs work on a new Postgres cluster, on a free port of 127.0.0.1, without a Unix socket and
 * without passwords. Nothing of it is left afterwards, whether the work ends, fails or is
 * interrupted by SIGINT or SIGTERM, which the signal tells the work.
 */
export async function withThrowawayCluster<T>(
  work: (url: string, signal: AbortSignal) => Promise<T>,
  options: ClusterOptions = {},
): Promise<T> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new OperatorError("Interrupted."));
  const signals: readonly Deno.Signal[] = ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);
  try {
    const cluster = await startCluster(options);
    try {
      return await work(cluster.url, interrupted.signal);
    } finally {
      await cluster.stop();
    }
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, interrupt);
  }
}

interface Cluster {
  readonly url: string;
  stop(): Promise<void>;
}

async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const binaries = options.programs ?? await findPostgresPrograms(["initdb", "postgres"]);
  const owner = await clusterOwner();
  const folder = await Deno.makeTempDir({ prefix: "booking-sync-postgres-" });
  const data = `${folder}/data`;
  const port = freePort();
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  let server: Deno.ChildProcess | undefined;
  const output: string[] = [];

  async function stop(): Promise<void> {
    // SIGINT is Postgres' fast shutdown: open sessions are cut off.
    if (server !== undefined) {
      try {
        server.kill("SIGINT");
      } catch { /* it has ended by itself */ }
      await server.status;
    }
    await Deno.remove(folder, { recursive: true });
  }

  try {
    if (owner.uid !== undefined) await Deno.chown(folder, owner.uid, owner.gid ?? owner.uid);
    const made = await new Deno.Command(`${binaries}/initdb`, {
      args: ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"],
      cwd: folder,
      stdin: "null",
      ...owner,
    }).output();
    if (!made.success) {
      throw new OperatorError(`initdb failed:\n${new TextDecoder().decode(made.stderr)}`);
    }
    server = new Deno.Command(`${binaries}/postgres`, {
      args: [
        ...["-D", data, "-p", String(port)],
        ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
        ...Object.entries(options.settings ?? {}).flatMap(([name, value]) => [
          "-c",
          `${name}=${value}`,
        ]),
      ],
      cwd: folder,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      ...owner,
    }).spawn();
    void readLines(server.stderr, (line) => output.push(line)).catch(() => {});
    await untilReady(url, server);
    return { url, stop };
  } catch (error) {
    await stop();
    const words = output.slice(-5).map((line) => `\n  ${line}`).join("");
    throw new OperatorError(`Cannot start Postgres: ${messageOf(error)}${words}`, { cause: error });
  }
}

async function untilReady(url: string, server: Deno.ChildProcess): Promise<void> {
  let ended = false;
  void server.status.then(() => ended = true);
  const deadline = Date.now() + 30_000;
  for (;;) {
    const client = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
    try {
      await client.unsafe("select 1");
      return;
    } catch (error) {
      if (ended || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      await client.end({ timeout: 0 });
    }
  }
}
