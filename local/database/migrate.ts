import { messageOf, OperatorError } from "../errors.ts";
import type { Database, Sql } from "./database.ts";
import { splitStatements } from "./split_statements.ts";

/** One file of `supabase/migrations`. */
export interface Migration {
  readonly version: string;
  readonly name: string;
  readonly file: string;
  readonly script: string;
}

/** What `migrate()` found and did. */
export interface MigrationReport {
  readonly applied: readonly string[];
  /** Applied earlier, and the file has been edited since: the database is not what it says. */
  readonly edited: readonly string[];
}

/** The migrations of a folder in the order of their versions; a name the CLI would skip is an error. */
export async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const migrations: Migration[] = [];
  for await (const entry of readFolder(folder)) {
    if (!entry.isFile || !entry.name.endsWith(".sql")) continue;
    const [, version, name] = /^(\d+)_(.+)\.sql$/.exec(entry.name) ?? [];
    if (version === undefined || name === undefined) {
      throw new OperatorError(
        `Cannot apply ${folder}/${entry.name}: its name is not YYYYMMDDHHmmss_name.sql.`,
      );
    }
    const file = `${folder}/${entry.name}`;
    migrations.push({ version, name, file, script: await Deno.readTextFile(file) });
  }
  return migrations.sort((a, b) => a.version < b.version ? -1 : a.version > b.version ? 1 : 0);
}

/**
 * Applies what the database does not have yet, each file in one transaction, and records it in
 * `supabase_migrations.schema_migrations` as `supabase migration up` does, so that either may go
 * on from the other.
 */
export async function migrate(
  database: Database,
  migrations: readonly Migration[],
): Promise<MigrationReport> {
  await database.exec(`
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (
      version text not null primary key,
      statements text[],
      name text
    );`);
  const recorded = await database.query<{ version: string; statements: unknown }>(
    `select version, to_json(statements) as statements from supabase_migrations.schema_migrations`,
  );
  const known = new Map(recorded.map((row) => [row.version, JSON.stringify(row.statements)]));
  refuseUnknown([...known.keys()], migrations);
  const applied: string[] = [];
  const edited: string[] = [];
  for (const migration of migrations) {
    const before = known.get(migration.version);
    if (before === undefined) {
      await database.transaction((sql) => applyMigration(sql, migration));
      applied.push(migration.file);
    } else if (before !== JSON.stringify(splitStatements(migration.script))) {
      edited.push(migration.file);
    }
  }
  return { applied, edited };
}

/** A database that was made by files which are gone cannot be brought up to date: say what to do. */
function refuseUnknown(recorded: readonly string[], migrations: readonly Migration[]): void {
  const present = new Set(migrations.map((migration) => migration.version));
  const unknown = recorded.filter((version) => !present.has(version)).sort();
  if (unknown.length === 0) return;
  throw new OperatorError(
    `Cannot migrate this database: it has ${unknown.length} migrations that are not in ` +
      `supabase/migrations (first ${unknown[0]}). Another version of this project made it. ` +
      "Nothing has been released yet, so start with an empty one: delete .local/pglite, " +
      "or give DATABASE_URL an empty database.",
  );
}

async function applyMigration(sql: Sql, migration: Migration): Promise<void> {
  try {
    await sql.exec(migration.script);
  } catch (error) {
    throw new OperatorError(describeFailure(migration, error), { cause: error });
  }
  // `search_path` and the like that a script set end with its transaction; a `set` does not.
  await sql.exec("reset all");
  await sql.query(
    `insert into supabase_migrations.schema_migrations (version, name, statements)
     values ($1, $2, array(
       select statement from jsonb_array_elements_text($3::jsonb) with ordinality
         as statements(statement, ordinal) order by ordinal))`,
    [migration.version, migration.name, JSON.stringify(splitStatements(migration.script))],
  );
}

/** Names file, line and column, and shows the line: enough to put it right without a search. */
export function describeFailure(
  migration: Pick<Migration, "file" | "script">,
  error: unknown,
): string {
  const detail = error as { position?: unknown; detail?: unknown; hint?: unknown; where?: unknown };
  const position = Number(detail.position);
  let place = migration.file;
  let excerpt = "";
  if (Number.isInteger(position) && position > 0) {
    // Postgres counts characters, not UTF-16 units.
    const before = [...migration.script].slice(0, position - 1).join("");
    const line = before.split("\n").length;
    const column = [...before.slice(before.lastIndexOf("\n") + 1)].length + 1;
    place += `:${line}:${column}`;
    excerpt = `\n  ${(migration.script.split("\n")[line - 1] ?? "").trim()}`;
  }
  const more = [detail.detail, detail.hint, detail.where]
    .filter((text): text is string => typeof text === "string" && text !== "")
    .map((text) => `\n  ${text}`).join("");
  return `Cannot apply ${place}: ${messageOf(error)}${excerpt}${more}`;
}

async function* readFolder(folder: string): AsyncGenerator<Deno.DirEntry> {
  try {
    yield* Deno.readDir(folder);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
