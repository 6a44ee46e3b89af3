import assert from "node:assert/strict";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";

const test = useDatabase();

interface Delivery {
  readonly key: string;
  readonly days: number;
  readonly open?: boolean;
}

test("prune_deliveries() takes bodies after 90 days and rows after a year, hashes stay", async (db) => {
  const tenant = await db.tenant();
  await store(db, tenant.id, [
    { key: "new", days: 89 },
    { key: "old", days: 91 },
    { key: "old but open", days: 400, open: true },
    { key: "ancient", days: 366 },
  ]);
  await db.query(
    `insert into sync.deliveries (function, dedupe_key, body, status, received_at, finished_at)
     values ('receive-booking', 'homeless', '{}', 'invalid', now() - interval '2 years', now())`,
  );
  await db.query(
    `insert into sync.runs (organization_id, source, mode, status, finished_at)
     values ($1, 'eventflow', 'full', 'completed', now() - interval '2 years'),
       ($1, 'eventflow', 'full', 'completed', now() - interval '2 days')`,
    [tenant.id],
  );
  assert.deepEqual(await db.rpc("prune_deliveries", {}), [{ bodies: 1, deliveries: 2, runs: 1 }]);
  assert.deepEqual(await deliveries(db, tenant.id), [
    { dedupe_key: "new", body: { key: "new" }, headers: { a: 1 }, hashed: false },
    { dedupe_key: "old", body: null, headers: {}, hashed: true },
    { dedupe_key: "old but open", body: { key: "old but open" }, headers: { a: 1 }, hashed: false },
  ]);
  assert.deepEqual(await db.rpc("prune_deliveries", {}), [{ bodies: 0, deliveries: 0, runs: 0 }]);
});

test("prune_deliveries() works in bounded batches, the oldest first", async (db) => {
  const tenant = await db.tenant();
  await store(db, tenant.id, [100, 120, 110].map((days) => ({ key: `d${days}`, days })));
  const batches: unknown[] = [];
  for (let call = 0; call < 3; call++) {
    const [batch] = await db.rpc<{ bodies: number }>("prune_deliveries", { max_rows: 2 });
    batches.push(batch?.bodies);
  }
  assert.deepEqual(batches, [2, 1, 0]);
});

test("prune_deliveries() leaves a replay whose original has gone", async (db) => {
  const tenant = await db.tenant();
  await store(db, tenant.id, [{ key: "first", days: 366 }, { key: "again", days: 1 }]);
  await db.query(
    `update sync.deliveries set replay_of = (select id from sync.deliveries where dedupe_key = 'first')
     where dedupe_key = 'again'`,
  );
  await db.rpc("prune_deliveries", {});
  const rows = await db.query(
    "select dedupe_key, replay_of from sync.deliveries where dedupe_key = 'again'",
  );
  assert.deepEqual(rows, [{ dedupe_key: "again", replay_of: null }]);
});

test("schedule_jobs() does nothing where an extension is missing", async (db) => {
  assert.deepEqual(await db.query("select sync.schedule_jobs() as scheduled"), [{
    scheduled: false,
  }]);
});

test("schedule_jobs() sets four jobs, whose calls take URL and key from the Vault", async (db) => {
  await pretendExtensions(db);
  assert.deepEqual(await db.query("select sync.schedule_jobs() as scheduled"), [{
    scheduled: true,
  }]);
  await db.query("select sync.schedule_jobs()");
  const jobs = await db.query<{ name: string; schedule: string; command: string }>(
    "select name, schedule, command from cron.job order by name",
  );
  assert.deepEqual(jobs.map(({ name, schedule }) => [name, schedule]), [
    ["booking-sync-drain", "* * * * *"],
    ["booking-sync-incremental", "*/5 * * * *"],
    ["booking-sync-prune", "* 3 * * *"],
    ["booking-sync-reconcile", "15 1 * * *"],
  ]);
  // Without secrets the job fails and says what is missing.
  await assert.rejects(db.query(jobs[0]!.command), /Vault has no secret booking_sync_url/);
  await db.exec(`insert into vault.decrypted_secrets values
    ('booking_sync_url', 'https://ref.supabase.co/ '), ('booking_sync_key', 'sb_secret_x ')`);
  for (const { command } of jobs) await db.query(command);
  await db.exec(
    "update vault.decrypted_secrets set decrypted_secret = 'a.b.c' where name = 'booking_sync_key'",
  );
  await db.query(jobs[0]!.command);
  const calls = await db.query<
    { url: string; body: { syncMode: string }; headers: Record<string, string> }
  >(
    "select url, body, headers from net.calls order by id",
  );
  assert.deepEqual(calls.map(({ body }) => body.syncMode), [
    "drain",
    "incremental",
    "reconcile",
    "drain",
  ]);
  assert.deepEqual(calls[0], {
    url: "https://ref.supabase.co/functions/v1/import-bookings",
    body: { syncMode: "drain" },
    headers: { apikey: "sb_secret_x", "content-type": "application/json" },
  });
  assert.equal(calls[3]?.headers["authorization"], "Bearer a.b.c");
});

/** As far as the jobs need pg_cron, pg_net and the Vault. */
async function pretendExtensions(db: BookingDatabase): Promise<void> {
  await db.exec(`
    create schema cron;
    create table cron.job (name text primary key, schedule text, command text);
    create function cron.schedule(job_name text, schedule text, command text) returns bigint
    language sql as $$
      insert into cron.job values ($1, $2, $3) on conflict (name) do update set schedule = $2, command = $3
      returning 1::bigint $$;
    create schema net;
    create table net.calls (id bigint generated always as identity, url text, body jsonb, headers jsonb);
    create function net.http_post(url text, body jsonb, params jsonb default '{}', headers jsonb default '{}',
      timeout_milliseconds integer default 5000) returns bigint
    language sql as $$ insert into net.calls (url, body, headers) values ($1, $2, $4) returning id $$;
    create schema vault;
    create table vault.decrypted_secrets (name text, decrypted_secret text);`);
}

async function store(
  db: BookingDatabase,
  organizationId: string,
  rows: readonly Delivery[],
): Promise<void> {
  for (const { key, days, open = false } of rows) {
    await db.query(
      `insert into sync.deliveries (connection_id, function, dedupe_key, body, headers, status, received_at, finished_at)
       select c.id, 'receive-booking', $2, jsonb_build_object('key', $2::text), '{"a": 1}',
         case when $4 then 'pending' else 'succeeded' end, now() - make_interval(days => $3),
         case when $4 then null else now() end
       from sync.connections c where c.organization_id = $1 and c.source = 'eventflow'`,
      [organizationId, key, days, open],
    );
  }
}

async function deliveries(db: BookingDatabase, organizationId: string) {
  return await db.query(
    `select d.dedupe_key, d.body, d.headers, d.body_hash is not null as hashed
     from sync.deliveries d join sync.connections c on c.id = d.connection_id
     where c.organization_id = $1 order by d.dedupe_key`,
    [organizationId],
  );
}
