import { pgtap } from "@electric-sql/pglite/pgtap";
import { installEmbeddedPostgres } from "../database/embedded_postgres.ts";
import { findPostgresPrograms } from "../database/postgres_programs.ts";
import { withThrowawayCluster } from "../database/throwaway_cluster.ts";
import { messageOf, OperatorError } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";

/** A Postgres whose programs can run here. */
export interface Server {
  /** Such as `Postgres 17 (npm)`. */
  readonly label: string;
  /** The folder with `initdb` and `postgres`. */
  readonly programs: string;
}

/** A Postgres that cannot run here. */
export interface MissingServer {
  readonly label: string;
  readonly reason: string;
}

/** What can run here and what cannot. */
export interface Servers {
  readonly found: readonly [Server, ...Server[]];
  readonly missing: readonly MissingServer[];
}

/** Nothing that a check writes has to survive a crash of the machine. */
const settings = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_connections: "50",
};

/**
 * The servers to check on: npm's Postgres 17, which is what hosted projects run and comes first,
 * and the one that is installed on this machine, which may have more extensions. An
 * `OperatorError` if neither can run.
 */
export async function findServers(paths: ProjectPaths): Promise<Servers> {
  const ways: readonly (readonly [from: string, find: () => Promise<string>])[] = [
    ["npm", () => npmPrograms(paths)],
    ["installed", () => findPostgresPrograms(["initdb", "postgres"])],
  ];
  const found: Server[] = [];
  const missing: MissingServer[] = [];
  for (const [from, find] of ways) {
    try {
      const programs = await find();
      found.push({ label: `Postgres ${await majorVersion(programs)} (${from})`, programs });
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      missing.push({ label: `Postgres (${from})`, reason: messageOf(error) });
    }
  }
  const [first, ...others] = found;
  if (first !== undefined) return { found: [first, ...others], missing };
  const reasons = missing.map(({ label, reason }) => `\n  ${label}: ${reason}`).join("");
  throw new OperatorError(`Cannot start a Postgres:${reasons}`);
}

/** Runs work on an empty cluster of the first server that can run here. */
export async function withFirstServer<T>(
  paths: ProjectPaths,
  work: (url: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { found: [first] } = await findServers(paths);
  return await withThrowawayCluster(work, { programs: first.programs, settings });
}

/**
 * Starts an empty cluster of each server, side by side, and hands their URLs to the work in the
 * order of the servers. Nothing of them is left afterwards.
 */
export async function withServers<T>(
  servers: readonly Server[],
  work: (urls: readonly string[], signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ended = Promise.withResolvers<void>();
  const started = servers.map(({ programs }) => {
    const ready = Promise.withResolvers<{ readonly url: string; readonly signal: AbortSignal }>();
    const cluster = withThrowawayCluster(async (url, signal) => {
      ready.resolve({ url, signal });
      await ended.promise;
    }, { programs, settings });
    cluster.catch(ready.reject);
    return { ready: ready.promise, cluster };
  });
  try {
    const ready = await Promise.all(started.map((each) => each.ready));
    const signal = AbortSignal.any(ready.map((each) => each.signal));
    return await work(ready.map(({ url }) => url), signal);
  } finally {
    ended.resolve();
    await Promise.allSettled(started.map(({ cluster }) => cluster));
  }
}

/** npm's Postgres with the pgTAP that comes with PGlite: plain SQL, for the same version. */
async function npmPrograms(paths: ProjectPaths): Promise<string> {
  const programs = await installEmbeddedPostgres(paths);
  const extension = `${programs}/../share/postgresql/extension/pgtap.control`;
  if (await Deno.stat(extension).then(() => true, () => false)) return programs;
  const { bundlePath } = await pgtap.setup(undefined as never, {});
  if (bundlePath === undefined) throw new OperatorError("PGlite has no pgTAP any more");
  const unpacked = await new Deno.Command("tar", {
    args: ["-xzf", bundlePath.pathname, "-C", `${programs}/..`],
    stdin: "null",
  }).output();
  if (unpacked.success) return programs;
  throw new OperatorError(`Cannot unpack pgTAP: ${new TextDecoder().decode(unpacked.stderr)}`);
}

async function majorVersion(programs: string): Promise<string> {
  const ran = await new Deno.Command(`${programs}/postgres`, { args: ["--version"], cwd: "/" })
    .output();
  return /\d+/.exec(new TextDecoder().decode(ran.stdout))?.[0] ?? "?";
}
