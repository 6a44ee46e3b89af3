import assert from "node:assert/strict";
import { OperatorError } from "../errors.ts";
import { type ProjectPaths, projectPaths } from "../paths.ts";
import { makeFromSchemas, onDatabase } from "./databases.ts";
import { compareDatabases, describeDifference, filesOf } from "./difference.ts";
import { draftMigration } from "./migration_files.ts";
import { checkCatalog } from "./schema_checks.ts";
import { readSchemas } from "./schema_files.ts";
import { readDefinitions } from "./schema_text.ts";
import { findServers, withFirstServer } from "./servers.ts";
import { installTool, supabaseCli } from "./tool.ts";

/** One planted change each: where, what, and how a finding names the object. */
const plants = {
  body: {
    file: "00_types.sql",
    change: ["new.updated_at := now()", "new.updated_at := clock_timestamp()"],
    finding: /FUNCTION sync\.touch_updated_at/,
  },
  comment: {
    file: "00_types.sql",
    change: [
      "comment on type public.booking_phase is '",
      "comment on type public.booking_phase is 'A ",
    ],
    finding: /COMMENT ON TYPE "public"\."booking_phase"/,
  },
  grant: {
    file: "99_privileges.sql",
    change: [/$/, "\ngrant select on sync.runs to authenticated;\n"],
    finding: /GRANT SELECT ON TABLE "sync"\."runs" TO "authenticated"/,
  },
  hidden: {
    file: "99_privileges.sql",
    change: [/$/, "\ndo $$ begin create index planted on public.bookings (title); end $$;\n"],
    finding: /CREATE INDEX planted ON public\.bookings/,
  },
  policy: {
    file: "81_policies.sql",
    change: ["using (user_id = (select auth.uid()))", "using (true)"],
    finding: /CREATE POLICY "organization_members_select"/,
  },
  rule: {
    file: "25_rules.sql",
    change: ["('calendar', 'rig', 'rig', 'each', 0,", "('calendar', 'rig', 'rig', 'each', -1,"],
    finding: /row of sync\.projection_rules where .*kind = 'rig': day_offset is 0 .*, -1 /,
  },
} as const;

Deno.test({
  name: "compareDatabases() names each planted difference, and a draft takes them all away",
  ignore: !await canRun(projectPaths()),
  fn: async () => {
    const paths = projectPaths();
    const cli = await installTool(supabaseCli, paths);
    const planted = { ...paths, schemas: await plant(paths) };
    try {
      const files = await readSchemas(planted);
      await withFirstServer(paths, async (server) => {
        const from = await makeFromSchemas(server, "original", await readSchemas(paths));
        const to = await makeFromSchemas(server, "planted", files);
        const difference = await compareDatabases({ cli, from, to, paths });
        const findings = describeDifference(difference, "remedy");
        for (const [name, { finding }] of Object.entries(plants)) {
          assert.ok(findings.some((line) => finding.test(line)), `${name}: ${findings.join("\n")}`);
        }
        assert.equal(findings.at(-1), "remedy");
        const sources = filesOf(difference, readDefinitions(files));
        assert.ok(sources.includes("supabase/schemas/81_policies.sql"), sources.join());
        assert.ok(sources.includes("supabase/schemas/25_rules.sql"), sources.join());

        const catalog = await checkCatalog(to, files);
        assert.ok(catalog.result === "failed");
        assert.ok(
          catalog.findings.some((line) =>
            line.startsWith(
              "index planted on public.bookings is in the database, but no `create index`",
            )
          ),
        );

        const draft = draftMigration(difference) ?? "";
        await onDatabase(from, (database) => database.transaction((sql) => sql.exec(draft)));
        const left = await compareDatabases({ cli, from, to, paths });
        assert.deepEqual(describeDifference(left, "remedy"), []);
      });
    } finally {
      await Deno.remove(planted.schemas, { recursive: true });
    }
  },
});

/** A copy of the schemas with all plants in it. */
async function plant(paths: ProjectPaths): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const { file, script } of await readSchemas(paths)) {
    const name = file.slice(file.lastIndexOf("/") + 1);
    let text = script;
    for (const { file, change: [from, to] } of Object.values(plants)) {
      if (file !== name) continue;
      const changed = text.replace(from, () => to);
      assert.notEqual(changed, text, `${file} has no ${from} any more`);
      text = changed;
    }
    await Deno.writeTextFile(`${folder}/${name}`, text);
  }
  return folder;
}

async function canRun(paths: ProjectPaths): Promise<boolean> {
  try {
    await findServers(paths);
    return true;
  } catch (error) {
    if (error instanceof OperatorError) return false;
    throw error;
  }
}
