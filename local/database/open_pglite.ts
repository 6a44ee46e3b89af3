import { createPgliteConnection, type PgliteConnection } from "@supabase/lite/pglite";
import type { Extensions } from "@electric-sql/pglite";
import type { Database, Sql } from "./database.ts";
import { createMutex, type Mutex } from "./mutex.ts";
import { trustOwnGrants } from "./trust_own_grants.ts";

type Pglite = PgliteConnection["driver"];

/** Where the data lies (in memory if absent) and a dump to begin with. */
export interface PgliteOptions {
  readonly directory?: string;
  readonly template?: Blob;
  readonly extensions?: Extensions;
}

/** A PGlite database that serves both us and the API; `dump()` is a template for the next one. */
export interface PgliteDatabase extends Database {
  readonly pglite: Pglite;
  dump(): Promise<Blob>;
}

/** Opens PGlite: under 4 s from nothing, under 1 s from a template or an existing directory. */
export async function openPglite(options: PgliteOptions = {}): Promise<PgliteDatabase> {
  const connection = await keepingExitCode(async () => {
    const opened = await createPgliteConnection({
      ...(options.directory === undefined ? {} : { url: options.directory }),
      pgliteOptions: {
        ...(options.template === undefined ? {} : { loadDataDir: options.template }),
        ...(options.extensions === undefined ? {} : { extensions: options.extensions }),
      },
    });
    await opened.driver.waitReady;
    return opened;
  });
  const pglite = connection.driver;
  trustOwnGrants(connection);

  const oneByOne = createMutex();
  const exclusive: Mutex = (work) => oneByOne(() => keepingExitCode(work));
  await exclusive(() => pglite.exec("set time zone 'UTC'"));
  return {
    kind: "pglite",
    label: options.directory ?? "PGlite in memory",
    api: connection,
    pglite,
    exclusive,
    query: (sql, parameters) => exclusive(() => onPglite(pglite).query(sql, parameters)),
    exec: (sql) => exclusive(() => onPglite(pglite).exec(sql)),
    transaction: (work) => exclusive(() => pglite.transaction((inner) => work(onPglite(inner)))),
    dump: () => exclusive(() => pglite.dumpDataDir("none")),
    close: () => exclusive(() => connection.close()),
  };
}

/** PGlite sets the exit code of our process when it starts, and again at every SQL error. */
async function keepingExitCode<T>(work: () => Promise<T>): Promise<T> {
  const before = Deno.exitCode;
  try {
    return await work();
  } finally {
    Deno.exitCode = before;
  }
}

function onPglite(session: Pick<Pglite, "query" | "exec">): Sql {
  return {
    async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<readonly Row[]> {
      return (await session.query<Row>(sql, [...parameters])).rows;
    },
    async exec(sql: string): Promise<void> {
      await session.exec(sql);
    },
  };
}
