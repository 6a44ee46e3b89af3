import postgres from "postgres";
import { messageOf, OperatorError } from "../errors.ts";
import { freePort } from "../free_port.ts";
import { readLines } from "../read_lines.ts";
import { findPostgresPrograms } from "./postgres_programs.ts";

/**
 * Runs work on a Postgres cluster of its own with stock settings, on a free port of 127.0.0.1,
 * without a Unix socket and without passwords. Nothing of it is left afterwards, whether the work
 * ends, fails or is interrupted by SIGINT or SIGTERM, which the signal tells the work.
 */
export async function withThrowawayCluster<T>(
  work: (url: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new OperatorError("Interrupted."));
  const signals: readonly Deno.Signal[] = ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);
  try {
    const cluster = await startCluster();
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

async function startCluster(): Promise<Cluster> {
  const binaries = await findPostgresPrograms(["initdb", "postgres"]);
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

/** Postgres refuses to run as root: then it runs as the user postgres. */
async function clusterOwner(): Promise<{ readonly uid?: number; readonly gid?: number }> {
  if (Deno.uid() !== 0) return {};
  const ask = async (flag: string) => {
    const answer = await new Deno.Command("id", { args: [flag, "postgres"] }).output();
    if (!answer.success) throw new OperatorError("Cannot run Postgres as root: no user postgres.");
    return Number(new TextDecoder().decode(answer.stdout));
  };
  return { uid: await ask("-u"), gid: await ask("-g") };
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
