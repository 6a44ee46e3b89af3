import type { Sql } from "../local/database/database.ts";

/**
 * CPU time that the open sessions of this database have used since they began, in ms, to a hundredth
 * of a second. NaN where there is no `/proc` or the server runs elsewhere.
 */
export async function databaseCpuMs(sql: Sql): Promise<number> {
  const rows = await sql.query<{ pid: number }>(
    `select pid from pg_stat_activity
     where backend_type = 'client backend' and datname = current_database()`,
  );
  return await cpuMsOf(rows.map(({ pid }) => pid));
}

/** User and system time of some processes by /proc, in ms; a hundredth of a second is its tick. */
export async function cpuMsOf(pids: readonly number[]): Promise<number> {
  const times = await Promise.all(pids.map(async (pid) => {
    try {
      const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return (Number(fields[11]) + Number(fields[12])) * 10;
    } catch {
      return NaN;
    }
  }));
  return times.reduce((sum, time) => sum + time, 0);
}
