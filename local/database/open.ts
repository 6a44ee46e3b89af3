import type { Database } from "./database.ts";
import type { ProjectPaths } from "../paths.ts";
import { OperatorError } from "../errors.ts";
import { type Migration, readMigrations } from "./migrate.ts";
import { openPglite, type PgliteDatabase } from "./open_pglite.ts";
import { openPostgres } from "./open_postgres.ts";
import { preparationHash, prepareDatabase } from "./prepare.ts";

/** Which database: a real Postgres by URL, else PGlite, kept on disk or for this run only. */
export interface OpenOptions {
  readonly paths: ProjectPaths;
  readonly databaseUrl?: string;
  /** PGlite only: `false` keeps the data under `.local/`, `true` (default) forgets it. */
  readonly inMemory?: boolean;
  readonly log?: (line: string) => void;
}

/** Opens a database that has everything: bootstrap, auth tables and all migrations. */
export async function openDatabase(options: OpenOptions): Promise<Database> {
  const { paths, log = () => {} } = options;
  const migrations = await readMigrations(paths.migrations);
  if (options.databaseUrl !== undefined) {
    const database = await openPostgres(options.databaseUrl);
    return await prepared(database, migrations, log);
  }
  if (options.inMemory !== false) return await openFromTemplate(paths, migrations);

  const directory = `${paths.state}/pglite`;
  const release = await lockDirectory(paths.state);
  try {
    const database = await exists(`${directory}/PG_VERSION`)
      ? await openPglite({ directory })
      : await openFromTemplate(paths, migrations, directory);
    const ready = await prepared(database, migrations, log);
    return { ...ready, close: () => ready.close().finally(release) };
  } catch (error) {
    release();
    throw error;
  }
}

async function prepared<D extends Database>(
  database: D,
  migrations: readonly Migration[],
  log: (line: string) => void,
): Promise<D> {
  try {
    const report = await prepareDatabase(database, migrations);
    for (const file of report.applied) log(`applied ${file.split("/").at(-1)}`);
    for (const file of report.edited) {
      log(`${file.split("/").at(-1)} was edited after it had been applied to ${database.label}`);
    }
    return database;
  } catch (error) {
    await database.close().catch(() => {});
    throw error;
  }
}

/** PGlite takes seconds to make from nothing, so a finished one is kept as a dump per schema. */
async function openFromTemplate(
  paths: ProjectPaths,
  migrations: readonly Migration[],
  directory?: string,
): Promise<PgliteDatabase> {
  const file = `${paths.state}/template-${await preparationHash(migrations)}.tar`;
  const place = directory === undefined ? {} : { directory };
  const template = await readBlob(file);
  if (template !== undefined) return await openPglite({ ...place, template });

  const database = await prepared(await openPglite(place), migrations, () => {});
  await keepTemplate(paths.state, file, await database.dump());
  return database;
}

async function keepTemplate(folder: string, file: string, dump: Blob): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const unfinished = `${file}.${crypto.randomUUID()}`;
  await Deno.writeFile(unfinished, dump.stream());
  for await (const entry of Deno.readDir(folder)) {
    if (/^template-[0-9a-f]+\.tar$/.test(entry.name)) {
      await Deno.remove(`${folder}/${entry.name}`).catch(() => {});
    }
  }
  await Deno.rename(unfinished, file);
}

/** One process per data directory: a second one would ruin it. Released when the process ends. */
async function lockDirectory(folder: string): Promise<() => void> {
  await Deno.mkdir(folder, { recursive: true });
  const file = await Deno.open(`${folder}/pglite.lock`, { create: true, write: true });
  if (!await file.tryLock(true)) {
    file.close();
    throw new OperatorError(
      `Cannot open ${folder}/pglite: another stack is using it. Stop that one first.`,
    );
  }
  let held = true;
  return () => {
    if (held) file.close();
    held = false;
  };
}

async function readBlob(file: string): Promise<Blob | undefined> {
  try {
    return new Blob([await Deno.readFile(file)]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
