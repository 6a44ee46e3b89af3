import { messageOf, OperatorError } from "./errors.ts";

const commands: Readonly<
  Record<string, () => Promise<{ run(args: readonly string[]): Promise<number> }>>
> = {
  start: () => import("./commands/start.ts"),
  demo: () => import("./commands/demo.ts"),
  test: () => import("./commands/test.ts"),
  "check-database": () => import("./commands/check_database.ts"),
  "db-migration": () => import("./commands/db_migration.ts"),
  write: () => import("./commands/write.ts"),
};

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Runs the command that the first argument names, and returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const load = commands[args[0] ?? ""];
  if (load === undefined) {
    console.error(`Usage: deno run -A local/main.ts ${Object.keys(commands).join(" | ")}`);
    return 2;
  }
  try {
    return await (await load()).run(args.slice(1));
  } catch (error) {
    console.error(error instanceof OperatorError ? messageOf(error) : error);
    return 1;
  }
}
