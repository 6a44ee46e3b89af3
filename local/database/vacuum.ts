import type { Database } from "./database.ts";

/**
 * What a server's autovacuum and checkpointer do: an embedded database has no process for them. Its
 * tables and its log would grow with every update, and its plans be made without statistics. Does
 * nothing on a real Postgres.
 */
export async function vacuum(database: Pick<Database, "kind" | "exec">): Promise<void> {
  if (database.kind !== "pglite") return;
  await database.exec("vacuum (analyze)");
  await database.exec("checkpoint");
}
