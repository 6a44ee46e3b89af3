import { openPostgres } from "../local/database/open_postgres.ts";
import { readMigrations } from "../local/database/migrate.ts";
import { prepareDatabase } from "../local/database/prepare.ts";
import { projectPaths } from "../local/paths.ts";
const d = await openPostgres("postgresql://postgres@127.0.0.1:5599/t2");
await prepareDatabase(d, await readMigrations(projectPaths().migrations)); await d.close();
