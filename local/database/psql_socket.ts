import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import type { PGlite } from "@electric-sql/pglite";
import type { Database } from "./database.ts";
import type { PgliteDatabase } from "./open_pglite.ts";

/** A TCP port that speaks Postgres' protocol for the embedded database. */
export interface PsqlSocket {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Lets psql in. PGlite has a single session, so a client's statement takes its turn with the API,
 * and a client's open transaction keeps everybody else waiting until it ends.
 */
export async function startPsqlSocket(
  database: Database,
  port: number,
): Promise<PsqlSocket | undefined> {
  if (!isPglite(database)) return undefined;
  const server = new PGLiteSocketServer({
    db: takingTurns(database),
    host: "127.0.0.1",
    port,
    maxConnections: 5,
  });
  await server.start();
  return {
    url: `postgresql://postgres@127.0.0.1:${port}/postgres?sslmode=disable`,
    stop: () => server.stop(),
  };
}

function isPglite(database: Database): database is PgliteDatabase {
  return database.kind === "pglite";
}

/** The same PGlite, but its work takes the turns that the rest of the stack takes. */
function takingTurns(database: PgliteDatabase): PGlite {
  const { pglite } = database;
  let release: (() => void) | undefined;

  async function acquire(): Promise<void> {
    if (release !== undefined) return;
    await new Promise<void>((acquired) => {
      void database.exclusive(() =>
        new Promise<void>((done) => {
          release = done;
          acquired();
        })
      );
    });
  }
  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    await acquire();
    try {
      return await work();
    } finally {
      if (!pglite.isInTransaction()) {
        release?.();
        release = undefined;
      }
    }
  }
  return new Proxy(pglite as unknown as PGlite, {
    get(target, name): unknown {
      if (name === "runExclusive") {
        return <T>(work: () => Promise<T>) => inTurn(() => target.runExclusive(work));
      }
      if (name === "exec") return (sql: string) => inTurn(() => target.exec(sql));
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
