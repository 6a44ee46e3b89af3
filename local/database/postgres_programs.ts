import { OperatorError } from "../errors.ts";

/**
 * The folder that has all of these programs of Postgres: `POSTGRES_PROGRAMS`, else in PATH, else
 * Debian's newest version.
 */
export async function findPostgresPrograms(names: readonly string[]): Promise<string> {
  const debian = "/usr/lib/postgresql";
  const versions: number[] = [];
  try {
    for await (const entry of Deno.readDir(debian)) versions.push(Number(entry.name));
  } catch { /* another system */ }
  const chosen = Deno.env.get("POSTGRES_PROGRAMS");
  const folders = [
    ...(chosen === undefined ? [] : [chosen]),
    ...(Deno.env.get("PATH") ?? "").split(":"),
    ...versions.sort((a, b) => b - a).map((version) => `${debian}/${version}/bin`),
  ];
  for (const folder of folders) {
    const found = await Promise.all(
      names.map((name) => Deno.stat(`${folder}/${name}`).catch(() => undefined)),
    );
    if (found.every((file) => file?.isFile)) return folder;
  }
  throw new OperatorError(
    `Cannot find ${
      names.join(" and ")
    }. Install PostgreSQL (Debian: apt-get install postgresql), ` +
      "or set DATABASE_URL to a server that may be used.",
  );
}
