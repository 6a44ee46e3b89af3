import { withThrowawayCluster } from "../database/throwaway_cluster.ts";
import { projectPaths } from "../paths.ts";

/** `test-postgres`: the stack's tests on a real Postgres; further arguments go to `deno test`. */
export async function run(args: readonly string[] = []): Promise<number> {
  const given = Deno.env.get("DATABASE_URL")?.trim() ?? "";
  if (given !== "") return await runTests(given, args);
  return await withThrowawayCluster((url, signal) => runTests(url, args, signal));
}

async function runTests(
  databaseUrl: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<number> {
  const { root } = projectPaths();
  const folders = await existing(root, ["tests/integration", "tests/e2e"]);
  const test = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--config", "local/deno.json", ...args, ...folders],
    cwd: root,
    env: { DATABASE_URL: databaseUrl },
    stdin: "null",
  }).spawn();
  signal?.addEventListener("abort", () => {
    try {
      test.kill("SIGTERM");
    } catch { /* it has ended by itself */ }
  });
  return (await test.status).code;
}

async function existing(root: string, folders: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    if (await Deno.stat(`${root}/${folder}`).then(() => true, () => false)) found.push(folder);
  }
  return found;
}
