import { makeFromSchemas } from "../checks/databases.ts";
import { generatedFiles, writeGeneratedFiles } from "../checks/generated_files.ts";
import { readSchemas } from "../checks/schema_files.ts";
import { withFirstServer } from "../checks/servers.ts";
import { installTool, supabaseCli } from "../checks/tool.ts";
import { OperatorError } from "../errors.ts";
import { projectPaths } from "../paths.ts";

/** `write`: brings every generated file up to date with `supabase/schemas`. */
export async function run(args: readonly string[] = []): Promise<number> {
  if (args.length > 0) throw new OperatorError(`Unknown: ${args.join(" ")}. There are no options.`);
  const paths = projectPaths();
  const files = await readSchemas(paths);
  const cli = await installTool(supabaseCli, paths);
  const written = await withFirstServer(paths, async (server, signal) => {
    const url = await makeFromSchemas(server, "schemas", files);
    return await writeGeneratedFiles({ cli, url, paths, signal });
  });
  for (const { file } of generatedFiles) {
    console.log(`${written.includes(file) ? "written" : "current"}  ${file}`);
  }
  return 0;
}
