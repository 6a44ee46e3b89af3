import { withoutPassword } from "../database/open_postgres.ts";
import { makeTemplate } from "../database/test_database.ts";
import {
  type ServerKind,
  serverKinds,
  type TestServer,
  withTestServer,
} from "../database/test_server.ts";
import { OperatorError } from "../errors.ts";
import { projectPaths } from "../paths.ts";
import { type Counts, runTests, sum } from "../test_run.ts";

const unit = "supabase/functions";

/**
 * `test [--on npm|machine|pglite] [FILE or FOLDER ...]`: the unit tests without network, then all
 * others against one Postgres server, each file in a database of its own; with files or folders
 * named, those alone. Prints failures and one line at the end, `ok | N passed | N failed`, and
 * every test where files are named.
 */
export async function run(args: readonly string[] = []): Promise<number> {
  const since = performance.now();
  const paths = projectPaths();
  const { kind, files } = parseArguments(args);
  const detailed = files.some((file) => file.endsWith(".ts"));
  const counts: Counts[] = [];
  if (files.length === 0) counts.push(await runTests(unitArguments(), { paths }));
  counts.push(
    await withTestServer(paths, kind, async (server, signal) => {
      console.log(`Tests run on ${describe(server)}`);
      if (server.url !== undefined) await makeTemplate(server.url, paths);
      return await runTests(stackArguments(files.length === 0 ? ["local", "tests"] : files), {
        paths,
        detailed,
        environment: { ...environmentFor(server), TEST_SERVER: kind ?? "any" },
        ...(signal === undefined ? {} : { signal }),
      });
    }),
  );
  const { passed, failed, ignored } = sum(counts);
  const seconds = ((performance.now() - since) / 1000).toFixed(0);
  const more = ignored > 0 ? ` | ${ignored} ignored` : "";
  console.log(
    `\n${
      failed === 0 ? "ok" : "FAILED"
    } | ${passed} passed | ${failed} failed${more} (${seconds} s)`,
  );
  return failed === 0 ? 0 : 1;
}

function parseArguments(
  args: readonly string[],
): { readonly kind: ServerKind | undefined; readonly files: readonly string[] } {
  if (args[0] !== "--on") return { kind: undefined, files: args };
  const kind = serverKinds.find((each) => each === args[1]);
  if (kind === undefined) {
    throw new OperatorError(`Unknown: --on ${args[1] ?? ""}. There are ${serverKinds.join(", ")}.`);
  }
  return { kind, files: args.slice(2) };
}

function unitArguments(): readonly string[] {
  return ["--no-prompt", "--allow-read=.", "--allow-env", unit];
}

function stackArguments(files: readonly string[]): readonly string[] {
  return ["-A", "--config", "local/deno.json", ...files];
}

function environmentFor(server: TestServer): Readonly<Record<string, string>> {
  return {
    // Files wait for their functions more than they compute.
    DENO_JOBS: String(navigator.hardwareConcurrency + 1),
    ...(server.url === undefined ? {} : { DATABASE_URL: server.url }),
    ...(server.programs === undefined ? {} : { KEEP_TEST_DATABASES: "true" }),
    ...(server.programs === undefined ? {} : { POSTGRES_PROGRAMS: server.programs }),
  };
}

function describe({ label, url }: TestServer): string {
  return url === undefined ? label : `${label}, ${withoutPassword(url)}`;
}
