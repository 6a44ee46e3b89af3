import { withThrowawayCluster } from "../local/database/throwaway_cluster.ts";
import { openPostgres } from "../local/database/open_postgres.ts";
import { bench } from "./full_import.ts";
await withThrowawayCluster(async (url) => {
  const db = await openPostgres(url, { connections: 1 });
  await db.exec("alter system set track_functions='all'");
  await db.query("select pg_reload_conf()");
  await bench(url);
  await new Promise((r) => setTimeout(r, 1500));
  console.table(await db.query("select schemaname||'.'||funcname f, calls, round(total_time) total, round(self_time) self from pg_stat_user_functions order by self_time desc limit 25"));
  await db.close();
});
