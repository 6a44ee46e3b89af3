import type { Migration } from "../database/migrate.ts";
import { OperatorError } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";
import type { Difference } from "./difference.ts";

/** What a drafted migration still says at its head until a person has completed it. */
const draft = "DRAFT";

/**
 * Whether the baseline may be written anew: it is the only migration, and the changelog has no
 * version yet.
 */
export async function mayRewriteBaseline(
  paths: ProjectPaths,
  migrations: readonly Pick<Migration, "name">[],
): Promise<boolean> {
  if (migrations.length !== 1 || migrations[0]?.name !== "baseline") return false;
  return !isReleased(await Deno.readTextFile(`${paths.root}/CHANGELOG.md`));
}

/** Whether a person has yet to complete the head of a migration. */
export function isDraft({ script }: Pick<Migration, "script">): boolean {
  return script.split("\n").some((line) => line.startsWith("-- ") && line.includes(`: ${draft}: `));
}

/** Whether a changelog has a version: then no migration may change any more. */
export function isReleased(changelog: string): boolean {
  return [...changelog.matchAll(/^## (.+)$/gm)].some(([, title]) => title !== "Unreleased");
}

/** The name of a migration as it stands in its file's name; anything but snake_case is refused. */
export function readName(name: string, migrations: readonly Pick<Migration, "name">[]): string {
  if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name)) {
    throw new OperatorError(
      `Cannot name a migration ${JSON.stringify(name)}: use a verb and its object in snake_case, ` +
        "such as add_booking_tags.",
    );
  }
  if (migrations.some((migration) => migration.name === name)) {
    throw new OperatorError(`Cannot name a migration ${name}: there is one of that name.`);
  }
  return name;
}

/** Now in UTC as YYYYMMDDHHmmss, and in any case after the last migration. */
export function nextVersion(now: Date, migrations: readonly Pick<Migration, "version">[]): string {
  const last = Math.max(0, ...migrations.map(({ version }) => instantOf(version)));
  return versionOf(new Date(Math.max(now.getTime(), last + 1000)));
}

/**
 * A migration that makes the difference, with a head for a person to complete. Undefined if there
 * is no difference.
 */
export function draftMigration({ sql, rows }: Difference): string | undefined {
  const statements = [sql, ...rows.map(({ statement }) => `${statement};`)]
    .filter((part) => part !== "");
  if (statements.length === 0) return undefined;
  const head = `-- Purpose: ${draft}: what changes, and why.\n` +
    `-- Compatibility: ${draft}: what this does to rows that are there, and to callers.`;
  return `${[head, ...statements].join("\n\n")}\n`;
}

function versionOf(instant: Date): string {
  return instant.toISOString().replace(/\D/g, "").slice(0, 14);
}

function instantOf(version: string): number {
  const [, date, hours, minutes, seconds] = /^(\d{8})(\d\d)(\d\d)(\d\d)$/.exec(version) ?? [];
  if (date === undefined) return 0;
  const day = `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`;
  return Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`);
}
