import { type SnapshotProduct } from "../../../supabase/functions/_shared/booking/snapshot.ts";
import {
  buildSnapshot,
  complete,
  dayFromNow,
  days,
  products,
  reread,
  RIG_DAY,
} from "../../support/booking_builder.ts";
import { type BookingDatabase, pgArray, useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, eventflowBooking, foundAnswer } from "../../support/eventflow_answer.ts";
import { changeRequests, packedPieces } from "../../support/packing.ts";
import { only, type Tenant } from "../../support/tenant.ts";
import assert from "node:assert/strict";

const test = useDatabase();

test("incident: products deleted and inserted anew: a changed product keeps its row and what is packed of it", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const read = () =>
    db.query<{ id: number; item: number; quantity_packed: number }>(
      `select p.id, i.id as item, i.quantity_packed from public.booking_products p
       join public.packing_items i on i.booking_product_id = p.id
       where p.organization_id = $1 order by 1`,
      [tenant.id],
    );
  await tenant.asPlanner((sql) =>
    sql.query("update public.packing_items set quantity_packed = 1, packed_at = now()")
  );
  const before = await read();
  const changed = products(
    { external_id: "chair", name: "Stol, vit", quantity: 44, unit_price: 14 },
    { external_id: "tent", name: "Tält 6x12", quantity: 3, unit_price: 1200 },
  );
  assert.equal((await tenant.applyOne(buildSnapshot({ products: changed }))).verdict, "updated");
  assert.deepEqual(await read(), before);
});

test("incident: component quantities not multiplied: component quantities are multiplied", async (db) => {
  const tenant = await db.tenant();
  const answer = foundAnswer(eventflowBooking({
    products: [
      {
        id: "package",
        name: "Paket Tält",
        quantity: 3,
        package_components: [
          { name: "Stolpe", quantity: 4, item_type_id: "pole" },
          { name: "Duk", quantity: 1, sku: "S-1" },
        ],
      },
      { id: "accessory", name: "↳ Vägg", quantity: 6 },
    ],
  }));
  await tenant.applyOne(decodeAnswer(tenant, answer));
  assert.deepEqual(
    await packedPieces(db, tenant),
    { "package#pole": 12, "package#S-1": 3, accessory: 6 },
  );
  const stored = await tenant.select(
    "booking_products",
    "quantity",
    "and external_id = 'package#pole'",
  );
  assert.deepEqual(stored, [{ quantity: 4 }], "the stored row is per unit of its parent");
});

/** A chain of packages within packages; each holds `quantity` of the next. */
function chain(...quantities: readonly number[]): SnapshotProduct[] {
  return quantities.map((quantity, level) => ({
    external_id: `level-${level}`,
    quantity,
    parent_external_id: level === 0 ? null : `level-${level - 1}`,
    is_package_component: level > 0,
  }));
}

for (const depth of [2, 3, 4, 5]) {
  test(`incident: component quantities not multiplied: packages within packages multiply ${depth} levels deep`, async (db) => {
    const tenant = await db.tenant();
    const items = chain(...[2, 3, 5, 7, 11].slice(0, depth));
    await tenant.applyOne(buildSnapshot({ products: products(...items) }));
    const expected = [2, 3, 5, 7, 11].slice(0, depth).reduce((all, each) => all * each, 1);
    assert.deepEqual(await packedPieces(db, tenant), { [`level-${depth - 1}`]: expected });
  });
}

test("incident: component quantities not multiplied: a changed package changes what is packed of its components", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ products: products(...chain(2, 3)) }));
  await tenant.applyOne(buildSnapshot({ products: products(...chain(4, 3)) }));
  assert.deepEqual(await packedPieces(db, tenant), { "level-1": 12 });
});

test("incident: component quantities not multiplied: a component whose package has gone counts alike, whatever was known before", async (db) => {
  const orphan = { ...chain(4, 3)[1], external_id: "orphan", parent_external_id: "level-0" };
  const alone = buildSnapshot({ products: complete(products(orphan)) });
  const [fresh, knowing] = [await db.tenant(), await db.tenant()];
  await fresh.applyOne(alone);
  await knowing.applyOne(buildSnapshot({ products: complete(products(...chain(4, 3))) }));
  await knowing.applyOne(reread(alone));
  assert.deepEqual(await packedPieces(db, knowing), await packedPieces(db, fresh));
});

test("incident: five packing projects for one booking: five writers at once make one packing project", async (db) => {
  const tenant = await db.tenant();
  const { booking_id } = await tenant.applyOne(buildSnapshot());
  const booking_ids = pgArray([Number(booking_id)]);
  await Promise.all(
    Array.from(
      { length: 5 },
      (_, index) =>
        index % 2 === 0
          ? db.rpc("project_bookings", { booking_ids })
          : tenant.applyOne(buildSnapshot({ booking: { title: `Fest ${index}` } })),
    ),
  );
  assert.equal((await tenant.select("packing_projects", "id")).length, 1);
  await assert.rejects(
    db.query(
      `insert into public.packing_projects (organization_id, booking_id, name) values ($1, $2, 'two')`,
      [tenant.id, booking_id],
    ),
    { code: "23505" },
    "no constraint forbids a second project",
  );
});

test("incident: five packing projects for one booking: five first imports at once make one booking and one project", async (db) => {
  const tenant = await db.tenant();
  const verdicts = await Promise.all(
    Array.from({ length: 5 }, () => tenant.applyOne(buildSnapshot())),
  );
  const found = verdicts.map(({ verdict }) => verdict).sort();
  assert.deepEqual(found.filter((verdict) => verdict === "created").length, 1, String(found));
  for (const table of ["bookings", "packing_projects"]) {
    assert.equal((await tenant.select(table, "id")).length, 1, table);
  }
});

/** A booking of chairs and tents; a number is a quantity, null leaves the row out of a whole list. */
function stock(chair: number | null, tent: number | null = 2, rig = RIG_DAY) {
  const rows: SnapshotProduct[] = [];
  if (chair !== null) rows.push({ external_id: "chair", name: "Stol", quantity: chair });
  if (tent !== null) rows.push({ external_id: "tent", name: "Tält", quantity: tent });
  return buildSnapshot({
    products: complete(products(...rows)),
    dates: complete(days(["rig", rig], ["event", rig], ["rigdown", rig])),
  });
}

test("project_packing_items() follows the booking while nobody relies on the list", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(stock(40));
  await tenant.applyOne(stock(44, null));
  assert.deepEqual(await packedPieces(db, tenant), { chair: 44 });
  await tenant.applyOne(stock(44, 1));
  assert.deepEqual(await packedPieces(db, tenant), { chair: 44, tent: 1 });
  assert.deepEqual(await changeRequests(db, tenant), []);
});

async function pending(db: BookingDatabase, tenant: Tenant): Promise<readonly string[]> {
  const requests = await changeRequests(db, tenant);
  return requests.filter(({ status }) => status === "pending").map((request) =>
    `${request.external_id} ${request.change_type} ${request.old_quantity}>${request.new_quantity}`
  );
}

async function review(tenant: Tenant): Promise<unknown> {
  return only(await tenant.select("packing_projects", "needs_review, review_reason"));
}

const freezing: Readonly<Record<string, string>> = {
  "is in progress": "update public.packing_projects set status = 'in_progress'",
  "is packed": "update public.packing_projects set status = 'packed'",
  "has a packed quantity": "update public.packing_items set quantity_packed = 1",
  "has a packing time": "update public.packing_items set packed_at = now()",
};

for (const [name, sql] of Object.entries(freezing)) {
  test(`project_packing_items() asks when the project ${name}`, async (db) => {
    const tenant = await db.tenant();
    await tenant.applyOne(stock(40));
    await tenant.asPlanner((planner) => planner.query(sql));
    await tenant.applyOne(stock(44));
    assert.deepEqual(await pending(db, tenant), ["chair quantity_changed 40>44"]);
    assert.deepEqual(await packedPieces(db, tenant), { chair: 40, tent: 2 });
    assert.deepEqual(await review(tenant), {
      needs_review: true,
      review_reason: "1 change of the booking waits for a decision",
    });
  });
}

for (const [rig, urgency] of [[13, "short_notice"], [15, undefined]] as const) {
  test(`project_packing_items() with the rig ${rig} days away`, async (db) => {
    const tenant = await db.tenant();
    await tenant.applyOne(stock(40, 2, dayFromNow(rig)));
    assert.deepEqual(await packedPieces(db, tenant), { chair: 40, tent: 2 }, "a new one is filled");
    await tenant.applyOne(stock(44, 2, dayFromNow(rig)));
    const requests = await changeRequests(db, tenant);
    assert.equal(requests[0]?.urgency, urgency);
    assert.equal((await packedPieces(db, tenant)).chair, urgency === undefined ? 44 : 40);
  });
}

/** A frozen project with 40 chairs and 2 tents. */
async function frozen(db: BookingDatabase): Promise<Tenant> {
  const tenant = await db.tenant();
  await tenant.applyOne(stock(40));
  await tenant.asPlanner((sql) =>
    sql.query("update public.packing_projects set status = 'in_progress'")
  );
  return tenant;
}

test("project_packing_items() asks with normal urgency outside 14 days", async (db) => {
  const tenant = await frozen(db);
  await tenant.applyOne(stock(44));
  assert.equal(only(await changeRequests(db, tenant)).urgency, "normal");
});

async function decide(tenant: Tenant, status: "accepted" | "dismissed"): Promise<void> {
  await tenant.asPlanner((sql) =>
    sql.query("update public.packing_change_requests set status = $1 where status = 'pending'", [
      status,
    ])
  );
}

test("project_packing_items() asks about added and removed products too", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(stock(40, null));
  await tenant.asPlanner((sql) =>
    sql.query("update public.packing_projects set status = 'packed'")
  );
  await tenant.applyOne(stock(null, 3));
  assert.deepEqual((await pending(db, tenant)).toSorted(), [
    "chair item_removed 40>null",
    "tent item_added null>3",
  ]);
  assert.deepEqual(await packedPieces(db, tenant), { chair: 40 });
  await decide(tenant, "accepted");
  assert.deepEqual(await packedPieces(db, tenant), { tent: 3 });
  assert.deepEqual(await review(tenant), { needs_review: false, review_reason: null });
  const mark = await db.mark();
  await tenant.applyOne(stock(null, 3), { force: true });
  assert.deepEqual(await db.writtenSince(mark), { "sync.source_states": 1 });
});

test("rule: a person's work is never overwritten: what is packed leaves the list only after its return", async (db) => {
  const pack = (tenant: Tenant, packed: number, returned: number) =>
    tenant.asPlanner((sql) =>
      sql.query("update public.packing_items set quantity_packed = $1, quantity_returned = $2", [
        packed,
        returned,
      ])
    );
  for (const [packed, returned] of [[0, 0], [40, 40]] as const) {
    const tenant = await db.tenant();
    await tenant.applyOne(stock(40, null));
    await pack(tenant, 40, 0);
    await tenant.applyOne(stock(null, 3));
    await assert.rejects(
      decide(tenant, "accepted"),
      /Cannot accept the removal of Stol: 40 of it packed and not returned/,
    );
    assert.deepEqual(await packedPieces(db, tenant), { chair: 40 });
    await pack(tenant, packed, returned);
    await decide(tenant, "accepted");
    assert.deepEqual(await packedPieces(db, tenant), { tent: 3 });
  }
});

test("project_packing_items() restates a request that waits", async (db) => {
  const tenant = await frozen(db);
  await tenant.applyOne(stock(44));
  await tenant.applyOne(stock(50));
  assert.deepEqual(await pending(db, tenant), ["chair quantity_changed 40>50"]);
  assert.equal((await changeRequests(db, tenant)).length, 1);
});

test("project_packing_items() withdraws a request whose cause has gone", async (db) => {
  const tenant = await frozen(db);
  await tenant.applyOne(stock(44));
  await tenant.applyOne(stock(40));
  const request = only(await changeRequests(db, tenant));
  assert.deepEqual([request.status, request.resolved_by], ["dismissed", "system"]);
  assert.deepEqual(await review(tenant), { needs_review: false, review_reason: null });
  await tenant.applyOne(stock(44));
  assert.deepEqual(await pending(db, tenant), ["chair quantity_changed 40>44"], "asked anew");
});

test("project_packing_items() does not ask again for a quantity that was dismissed", async (db) => {
  const tenant = await frozen(db);
  await tenant.applyOne(stock(44));
  await decide(tenant, "dismissed");
  assert.deepEqual(await review(tenant), { needs_review: false, review_reason: null });
  await tenant.applyOne(stock(44), { force: true });
  await tenant.applyOne(stock(44, 3));
  assert.deepEqual(await pending(db, tenant), ["tent quantity_changed 2>3"]);
  await tenant.applyOne(stock(45, 3));
  assert.deepEqual((await pending(db, tenant)).toSorted(), [
    "chair quantity_changed 40>45",
    "tent quantity_changed 2>3",
  ]);
});

test("project_packing_items() takes a request back when the source returns to a dismissed quantity", async (db) => {
  const tenant = await frozen(db);
  await tenant.applyOne(stock(44));
  await decide(tenant, "dismissed");
  await tenant.applyOne(stock(50));
  await tenant.applyOne(stock(44));
  // 50 is no longer the case, and to 44 a person has said no.
  assert.deepEqual(await pending(db, tenant), [], "a request for a quantity that nobody states");
});

test("project_packing_items() lets an accepted request take effect once", async (db) => {
  const tenant = await frozen(db);
  await tenant.applyOne(stock(44));
  await decide(tenant, "accepted");
  assert.deepEqual(await packedPieces(db, tenant), { chair: 44, tent: 2 });
  const request = only(await changeRequests(db, tenant));
  assert.deepEqual([request.status, request.resolved_by], ["accepted", tenant.userId]);
  const again = tenant.asPlanner((sql) =>
    sql.query("update public.packing_change_requests set status = 'dismissed'")
  );
  await assert.rejects(again, { code: "23514" });
});

test("project_packing_items() never touches a manual item or what is packed", async (db) => {
  const tenant = await frozen(db);
  await tenant.asPlanner(async (sql) => {
    await sql.query(
      `insert into public.packing_items (organization_id, packing_project_id, manual_name, quantity_to_pack, notes)
       select organization_id, id, 'Stege', 2, 'röd' from public.packing_projects`,
    );
    await sql.query(
      `update public.packing_items set quantity_packed = 2, quantity_returned = 1, packed_at = now(),
         excluded = true, notes = 'mitt'`,
    );
  });
  const read = () =>
    tenant.select(
      "packing_items",
      `id, manual_name, quantity_packed, quantity_returned, packed_at, excluded, notes, active,
       case when booking_product_id is null then quantity_to_pack end as manual_quantity`,
      "order by id",
    );
  const before = await read();
  await tenant.applyOne(stock(44, null));
  await decide(tenant, "dismissed");
  const off = stock(null, null);
  await tenant.applyOne({
    ...off,
    content_hash: "off",
    booking: { ...off.booking, status: "OFFER" },
  });
  await tenant.applyOne(stock(40));
  assert.deepEqual(await read(), before);
});

test("project_packing_items() keeps asking what is true while the booking is away", async (db) => {
  const tenant = await frozen(db);
  await tenant.applyOne(stock(44));
  const off = stock(48);
  await tenant.applyOne({
    ...off,
    content_hash: "off",
    booking: { ...off.booking, status: "PENDING" },
  });
  await tenant.applyOne(stock(48));
  assert.deepEqual(await pending(db, tenant), ["chair quantity_changed 40>48"]);
});
