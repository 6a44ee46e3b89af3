import assert from "node:assert/strict";
import {
  addDays,
  attachments,
  buildSnapshot,
  complete,
  days,
  EVENT_DAY,
  RIG_DAY,
  RIGDOWN_DAY,
} from "../../support/booking_builder.ts";
import { pgArray, useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, eventflowBooking, foundAnswer } from "../../support/eventflow_answer.ts";
import { only } from "../../support/tenant.ts";

const test = useDatabase();

test("incident 14: changing tokens make no new rows and no change", async (db) => {
  const tenant = await db.tenant();
  const read = (token: number) =>
    decodeAnswer(
      tenant,
      foundAnswer(eventflowBooking({
        attachments: [1, 2, 3].map((file) => ({
          public_url: `https://files.example/${file}.pdf?token=${token}${file}#page=${token}`,
          name: "Samma namn.pdf",
        })),
      })),
    );
  await tenant.applyOne(read(1));
  const mark = await db.mark();
  for (let token = 2; token < 15; token++) {
    assert.equal((await tenant.applyOne(read(token))).verdict, "unchanged");
  }
  assert.deepEqual(await db.writtenSince(mark), {});
  assert.equal((await tenant.select("booking_attachments", "id")).length, 3);
});

test("incident 14: fresh links are stored when the booking is written anyway", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const { changes } = await tenant.applyOne(buildSnapshot({
    booking: { title: "Höstfest", map_drawing_url: "https://files.example/map.png?token=2" },
    attachments: attachments("https://files.example/offert.pdf?token=2"),
  }));
  assert.deepEqual(Object.keys(changes).includes("booking_attachments"), false);
  assert.deepEqual(await tenant.select("booking_attachments", "url"), [
    { url: "https://files.example/offert.pdf?token=2" },
  ]);
  assert.deepEqual(await tenant.select("bookings", "map_drawing_url"), [
    { map_drawing_url: "https://files.example/map.png?token=2" },
  ]);
});

test("incident 14: a user's upload survives every statement of the source", async (db) => {
  const tenant = await db.tenant();
  const { booking_id } = await tenant.applyOne(buildSnapshot());
  await tenant.asPlanner((sql) =>
    sql.query(
      `insert into public.booking_attachments
         (organization_id, booking_id, url, url_key, file_name, origin)
       values ($1, $2, 'https://files.example/mine.jpg?v=1', 'x', 'Min bild', 'user')`,
      [tenant.id, booking_id],
    )
  );
  const read = () =>
    tenant.select(
      "booking_attachments",
      "id, url, url_key, file_name, origin, source_missing_since",
      "and origin = 'user'",
    );
  const before = await read();
  assert.equal(only(before).url_key, "https://files.example/mine.jpg");
  await tenant.applyOne(buildSnapshot({ attachments: complete(attachments()) }));
  // The source lists a file under the very same URL: it stays the person's.
  const same = { url: "https://files.example/mine.jpg?v=2", file_name: "Källans namn" };
  await tenant.applyOne(buildSnapshot({ attachments: complete(attachments(same)) }));
  assert.deepEqual(await read(), before);
});

test("incident 15: warehouse events have one writer, and a person's times stay", async (db) => {
  const tenant = await db.tenant();
  const { booking_id } = await tenant.applyOne(buildSnapshot());
  await tenant.asPlanner((sql) =>
    sql.query(
      `update public.warehouse_events set starts_at = starts_at + interval '30 minutes'
       where event_type = 'delivery'`,
    )
  );
  const read = () =>
    tenant.select("warehouse_events", "id, event_type, starts_at, adjusted_at", "order by id");
  const before = await read();
  assert.equal(before.length, 6);
  for (let again = 0; again < 3; again++) {
    await db.rpc("project_bookings", { booking_ids: pgArray([Number(booking_id)]) });
    await tenant.applyOne(buildSnapshot({ booking: { title: `Fest ${again}` } }), { force: true });
  }
  assert.deepEqual(await read(), before);
  const insert = tenant.asPlanner((sql) =>
    sql.query(
      `insert into public.warehouse_events
         (organization_id, booking_id, event_type, basis_day, starts_at, ends_at, title)
       values ($1, $2, 'delivery', current_date, now(), now() + interval '1 hour', 'mine')`,
      [tenant.id, booking_id],
    )
  );
  await assert.rejects(insert, { code: "42501" });
});

test("incident 16: a webhook without an organization is nobody's, never a default's", async (db) => {
  await db.tenant();
  for (const organization_id of [null, "00000000-0000-4000-8000-000000000000"]) {
    const answer = only(
      await db.rpc("receive_delivery", {
        function: "receive-booking",
        source: "eventflow",
        organization_id,
        external_id: "booking-1",
      }),
    );
    assert.equal(answer.outcome, "unknown_organization");
    const kept = await db.query("select connection_id, status from sync.deliveries where id = $1", [
      answer.delivery_id,
    ]);
    assert.deepEqual(kept, [{ connection_id: null, status: "invalid" }]);
  }
});

test("incident 16: two tenants share an id and nothing else", async (db) => {
  const [mine, theirs] = [await db.tenant(), await db.tenant()];
  await mine.applyOne(buildSnapshot());
  await theirs.applyOne(buildSnapshot({ booking: { title: "Deras" } }));
  assert.deepEqual(await mine.select("bookings", "title"), [{ title: "Sommarfest" }]);
  assert.deepEqual(await theirs.select("bookings", "title"), [{ title: "Deras" }]);
  const seen = await mine.asPlanner((sql) => sql.query("select title from public.bookings"));
  assert.deepEqual(seen, [{ title: "Sommarfest" }]);
});

test("incident 17: the cursor moves with a completed run, to when the run began", async (db) => {
  const [tenant, other] = [await db.tenant(), await db.tenant()];
  const cursor = async (of = tenant) =>
    only(await of.select("sync.connections", "cursor", "and source = 'eventflow'")).cursor;
  const arguments_ = { organization_id: tenant.id, source: "eventflow", mode: "incremental" };
  const run = only(await db.rpc("begin_run", arguments_));
  const lease = { run_id: run.run_id, lease_token: run.lease_token };
  await db.rpc("checkpoint_run", {
    ...lease,
    checkpoint: { page: 2 },
    counters: {},
    snapshots: [buildSnapshot()],
  });
  assert.equal(await cursor(), null, "a checkpoint moved the cursor");
  await db.rpc("finish_run", { ...lease, status: "stopped" });
  assert.equal(await cursor(), null, "a stopped run moved the cursor");
  const again = only(await db.rpc("begin_run", arguments_));
  assert.deepEqual([again.outcome, again.run_id], ["resumed", run.run_id]);
  await db.rpc("finish_run", {
    run_id: again.run_id,
    lease_token: again.lease_token,
    status: "completed",
  });
  const proven = await db.query(
    `select c.cursor = r.started_at - interval '10 minutes' as as_begun from sync.connections c
     join sync.runs r on r.organization_id = c.organization_id and r.source = c.source
     where r.id = $1`,
    [run.run_id],
  );
  assert.deepEqual(proven, [{ as_begun: true }]);
  assert.equal(await cursor(other), null, "another tenant's cursor moved");
});

test("incident 18: an update within the same second causes a second pass", async (db) => {
  const tenant = await db.tenant();
  const first = await tenant.receive("booking-1");
  const second = await tenant.receive("booking-1");
  assert.deepEqual([first.outcome, second.outcome, second.reason], ["claimed", "deferred", "busy"]);
  const { delivery_id, lease_token } = first;
  await tenant.applyOne(buildSnapshot(), { delivery_id, lease_token });
  const claimed = await db.rpc("claim_deliveries", {});
  assert.deepEqual(claimed.map((row) => row.delivery_id), [second.delivery_id]);
  const moved = days(["rig", addDays(RIG_DAY, 1)], ["event", EVENT_DAY], ["rigdown", RIGDOWN_DAY]);
  const verdict = await tenant.applyOne(buildSnapshot({ dates: moved }), {
    delivery_id: second.delivery_id,
    lease_token: String(claimed[0]?.lease_token),
  });
  assert.equal(verdict.verdict, "updated");
  const [state] = await tenant.select("sync.source_states", "requested_seq, processed_seq");
  assert.deepEqual(state, { requested_seq: 2, processed_seq: 2 });
});
