import assert from "node:assert/strict";
import { createRandom, type Random } from "../../../local/simulators/random.ts";
import { attachments, buildSnapshot } from "../../support/booking_builder.ts";
import { type BookingDatabase, pgArray, useDatabase } from "../../support/booking_database.ts";
import { only, type Tenant } from "../../support/tenant.ts";

/*
 * Everything at once on few bookings: webhooks, drains, pages, a repair, events, releases, replays.
 * What has an order of its own never waits in a circle, and in the end every booking is what was said
 * of it last. An embedded database has one session: there they take turns.
 */
const test = useDatabase();

const IDS = ["a", "b", "c", "d", "e", "f"];
const SESSIONS = 6;
const ROUNDS = 40;

test("all that writes at once waits for nobody in a circle, and every booking ends right", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 3 });
  const source = new Map(IDS.map((id) => [id, 1]));
  const refusals: string[] = [];
  await Promise.all(
    Array.from({ length: SESSIONS }, async (_, session) => {
      const random = createRandom(7, session);
      for (let round = 0; round < ROUNDS; round++) {
        await doSomething(db, tenant, source, random).catch((error) => {
          const { code } = error as { readonly code?: string };
          // Another run of the kind has taken over: an answer, and not a fault.
          if (code !== "PT409") refusals.push(`${code}: ${(error as Error).message}`);
        });
      }
    }),
  );
  assert.deepEqual(refusals, []);

  await db.query(
    `update sync.deliveries set leased_until = now() - interval '1 second'
     where status = 'processing'`,
  );
  while (await drainOnce(db, tenant, source) > 0);
  const open = await db.query(
    `select d.status from sync.deliveries d join sync.connections c on c.id = d.connection_id
     where c.organization_id = $1 and d.status in ('pending', 'processing')
       -- A confirming read keeps its time.
       and d.function <> 'confirm'`,
    [tenant.id],
  );
  assert.deepEqual(open, []);
  // What is true now, read once more, passes the brake or waits before it.
  const verdicts = await tenant.apply(IDS.map((id) => stated(id, source.get(id)!)));
  assert.deepEqual(
    verdicts.filter(({ verdict }) => !["unchanged", "updated", "held"].includes(verdict)),
    [],
  );
  const held = await tenant.select<{ booking_id: number }>(
    "sync.held_changes",
    "booking_id",
    "and released_at is null and dismissed_at is null",
  );
  const rows = await tenant.select<{ id: number; external_id: string; title: string }>(
    "bookings",
    "id, external_id, title",
    "and source = 'eventflow'",
  );
  const waiting = new Set(held.map(({ booking_id }) => booking_id));
  for (const { id, external_id, title } of rows.filter(({ id }) => !waiting.has(id))) {
    assert.equal(title, `v${source.get(external_id)}`, `${external_id} (${id})`);
  }
});

/** What the source says at a version: every fifth is a cancellation. */
function stated(external_id: string, version: number) {
  return buildSnapshot({
    external_id,
    source_version: version,
    booking: { title: `v${version}`, status: version % 5 === 0 ? "CANCELLED" : "CONFIRMED" },
    attachments: attachments(`https://files.example/${external_id}.pdf?token=${Math.random()}`),
  });
}

async function doSomething(
  db: BookingDatabase,
  tenant: Tenant,
  source: Map<string, number>,
  random: Random,
): Promise<void> {
  const id = random.pick(IDS);
  const place = { organization_id: tenant.id, source: "eventflow" } as const;
  const page = () => IDS.filter(() => random.chance(0.7)).map((id) => stated(id, source.get(id)!));
  switch (random.integer(1, 9)) {
    case 1:
    case 2:
      source.set(id, source.get(id)! + 1);
      await tenant.receive(id);
      return;
    case 3:
    case 4:
      await drainOnce(db, tenant, source);
      return;
    case 5:
      // One of them cannot be stored.
      await tenant.apply([
        ...page(),
        buildSnapshot({ external_id: "bad", booking: { latitude: "x" as never } }),
      ]);
      return;
    case 6: {
      const mode = random.pick(["incremental", "reconcile"]);
      const run = only(await db.rpc("begin_run", { ...place, mode, parameters: { repair: true } }));
      if (run["lease_token"] === null) return;
      const lease = { run_id: run["run_id"], lease_token: run["lease_token"] };
      await db.rpc("checkpoint_run", { ...lease, checkpoint: {}, counters: {}, snapshots: page() });
      await db.rpc("finish_run", { ...lease, status: random.pick(["completed", "stopped"]) });
      return;
    }
    case 7:
      await tenant.event(
        random.pick(["1", "2"]),
        random.pick(["PENDING", "COMPLETED", "CANCELLED"]),
        `2026-01-15T10:00:${random.integer(10, 40)}`,
      );
      return;
    case 8: {
      const holds = await tenant.select<{ id: number }>("sync.held_changes", "id");
      if (holds.length === 0) return;
      await db.rpc("release_held_changes", {
        held_change_ids: pgArray(holds.map(({ id }) => id)),
        by: "anna",
      });
      return;
    }
    default:
      await db.rpc("replay_deliveries", {
        organization_id: tenant.id,
        external_id: id,
        count_only: false,
      });
  }
}

/** Claims what is due and applies what the source says of it; returns how much it was. */
async function drainOnce(
  db: BookingDatabase,
  tenant: Tenant,
  source: ReadonlyMap<string, number>,
): Promise<number> {
  const claimed = await db.rpc<Record<string, string>>("claim_deliveries", { max_deliveries: 10 });
  const ours = claimed.filter(({ organization_id }) => organization_id === tenant.id);
  const eventflow = ours.filter((each) => each["source"] === "eventflow");
  if (eventflow.length > 0) {
    await db.rpc("apply_snapshots", {
      organization_id: tenant.id,
      source: "eventflow",
      snapshots: eventflow.map(({ external_id }) =>
        stated(external_id!, source.get(external_id!)!)
      ),
      deliveries: eventflow.map(({ delivery_id, lease_token }) => ({ delivery_id, lease_token })),
    });
  }
  for (const { source: name, delivery_id, lease_token } of ours) {
    if (name === "eventflow") continue;
    const end = { status: "succeeded", result: { outcome: "not_found" } };
    await db.rpc("finish_delivery", { delivery_id, lease_token, ...end });
  }
  return ours.length;
}
