import { readMigrations } from "../../../local/database/migrate.ts";
import { openPglite } from "../../../local/database/open_pglite.ts";
import { prepareDatabase } from "../../../local/database/prepare.ts";
import { openEmptyDatabase } from "../../../local/database/test_database.ts";
import { projectPaths } from "../../../local/paths.ts";
import assert from "node:assert/strict";

Deno.test({
  name:
    "incident: migrations that could not be replayed: every migration replays from an empty database, and once is enough",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(): Promise<void> {
    const migrations = await readMigrations(projectPaths().migrations);
    const url = Deno.env.get("DATABASE_URL") ?? "";
    const database = url === "" ? await openPglite() : await openEmptyDatabase(url);
    try {
      const first = await prepareDatabase(database, migrations);
      assert.deepEqual(first.applied, migrations.map(({ file }) => file));
      const second = await prepareDatabase(database, migrations);
      assert.deepEqual(second, { applied: [], edited: [] });
    } finally {
      await database.close();
    }
  },
});
