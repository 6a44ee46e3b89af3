import assert from "node:assert/strict";
import { useDatabase } from "../../support/booking_database.ts";
import { buildSnapshot } from "../../support/booking_builder.ts";
import { decodeAnswer, eventflowBooking, foundAnswer } from "../../support/eventflow_answer.ts";
import { only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();

const said = (
  tenant: Tenant,
  status: string,
  fields: { readonly id?: string; readonly [key: string]: unknown } = {},
) =>
  decodeAnswer(
    tenant,
    foundAnswer(eventflowBooking({ status, ...fields })),
    fields.id ?? "booking-1",
  );

const statusOf = async (tenant: Tenant) =>
  only(await tenant.select<{ status: string }>("bookings", "status")).status;

const words: Readonly<Record<string, readonly string[]>> = {
  CONFIRMED: [
    "Bekräftad",
    "bekraftat",
    " BEKRÄFTAD! ",
    "Confirmed.",
    "Slutförd",
    "Genomförd",
    "Fakturerad",
    "Återlämnad",
    "ATERLAMNAD",
    "invoiced",
    "Levererad",
  ],
  CANCELLED: [
    "Avbokad",
    "Avbokat",
    "cancelled",
    "Canceled",
    "inställd",
    "INSTALLD",
    "Makulerad",
    "annullerad",
  ],
  OFFER: ["Offert", "draft", "Utkast", "quote"],
  PENDING: [
    "Preliminär",
    "prel.",
    "Awaiting-Approval",
    "awaiting_approval",
    "AwaitingApproval",
    "On  hold",
    "optionerad",
    "väntande",
    "Obekräftad",
    "preliminärbokad",
  ],
  REJECTED: ["Nekad", "avböjd", "Expired", "utgången", "lost"],
};

for (const [status, list] of Object.entries(words)) {
  test(`rule: every word of the source is read: words for ${status}`, async (db) => {
    const tenant = await db.tenant({ cancel_budget: 1_000 });
    for (const [index, word] of list.entries()) {
      const id = `${status}-${index}`;
      await tenant.applyOne(said(tenant, word, { id }));
      const rows = await tenant.select(
        "bookings",
        "status, source_status",
        `and external_id = '${id}'`,
      );
      assert.deepEqual(rows, [{ status, source_status: word }], word);
    }
  });
}

test("rule: every word of the source is read: an unknown word changes nothing, is watched and named", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(said(tenant, "Bekräftad"));
  const { delivery_id, lease_token } = await tenant.receive("booking-1");
  await tenant.applyOne(said(tenant, "Parkerad 0701234567", { title: "Ny" }), {
    delivery_id,
    lease_token,
  });
  assert.equal(await statusOf(tenant), "CONFIRMED");
  assert.deepEqual(
    await db.query(
      `select o.kind, o.field, o.word, o.count::int, o.sample from sync.source_observations o
       join sync.connections c on c.id = o.connection_id
       where c.organization_id = $1 and o.kind = 'unknown_status_word'`,
      [tenant.id],
    ),
    [{
      kind: "unknown_status_word",
      field: "status",
      word: "PARKERAD 0701234567",
      count: 1,
      sample: "Parkerad *****",
    }],
  );
  const { id } = only(await tenant.select<{ id: number }>("bookings", "id"));
  const lines = (await db.rpc<{ summary: string }>("explain_booking", { booking_id: id }))
    .map((line) => line.summary);
  assert.ok(
    lines.some((line) => line.includes("Not used as it was sent: status.")),
    lines.join("\n"),
  );
  const status = (await db.rpc<Record<string, unknown>>("sync_status", {}))
    .find((row) => row["organization_id"] === tenant.id && row["source"] === "eventflow");
  assert.deepEqual(status?.["odd_today"], { unknown_status_word: 1 });
});

test("rule: every word of the source is read: an operator maps a new word, and its bookings follow through the brake", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 1 });
  const other = await db.tenant();
  for (const id of ["a", "b", "c"]) {
    await tenant.applyOne(said(tenant, "Bekräftad", { id }));
    await tenant.applyOne(said(tenant, "Nedlagd", { id, title: "x" }));
  }
  await other.applyOne(said(other, "Bekräftad"));
  await other.applyOne(said(other, "Nedlagd", { title: "x" }));
  const rows = await db.rpc<{ external_id: string; verdict: string }>("map_status_word", {
    organization_id: tenant.id,
    source: "eventflow",
    word: "nedlagd!",
    status: "CANCELLED",
    by: "anna",
  });
  assert.deepEqual(rows.map(({ verdict }) => verdict).sort(), ["held", "held", "updated"]);
  assert.deepEqual(
    await tenant.select(
      "bookings",
      "status, count(*)::int as count",
      "group by status order by status",
    ),
    [{ status: "CONFIRMED", count: 2 }, { status: "CANCELLED", count: 1 }],
  );
  assert.equal(await statusOf(other), "CONFIRMED", "another organization has its own words");
  await tenant.applyOne(said(tenant, "Nedlagd", { id: "d" }));
  assert.deepEqual(await tenant.select("bookings", "status", "and external_id = 'd'"), [{
    status: "CANCELLED",
  }]);
  await assert.rejects(
    db.rpc("map_status_word", {
      organization_id: tenant.id,
      source: "eventflow",
      word: "x",
      status: "GONE",
      by: "anna",
    }),
    /status_words_means_check/,
  );
});

test("rule: every word of the source is read: a word that means deleted is held, and a new booking is stored marked", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(said(tenant, "Bekräftad"));
  await tenant.applyOne(said(tenant, "Borttagen", { title: "Ändrad" }));
  assert.deepEqual(
    await tenant.select("bookings", "status, title, source_missing_since is not null as gone"),
    [{ status: "CONFIRMED", title: "Ändrad", gone: true }],
  );
  assert.deepEqual(await tenant.select("sync.held_changes", "kind"), [{ kind: "deleted" }]);
  await tenant.applyOne(said(tenant, "deleted", { id: "new" }));
  assert.deepEqual(
    await tenant.select(
      "bookings",
      "status, source_missing_since is not null as gone",
      "and external_id = 'new'",
    ),
    [{ status: "PENDING", gone: true }],
  );
  await tenant.applyOne(said(tenant, "Archived", { title: "Arkiverad" }));
  assert.deepEqual(
    await tenant.select("bookings", "status, title", "and external_id = 'booking-1'"),
    [
      { status: "CONFIRMED", title: "Arkiverad" },
    ],
  );
});

test("rule: every word of the source is read: fields that were left out are counted by name, once a day for unknown ones", async (db) => {
  const tenant = await db.tenant();
  for (const id of ["a", "b"]) {
    await tenant.applyOne(said(tenant, "Bekräftad", {
      id,
      latitude: "norr",
      products: [{ id: "p", name: "Stol", unit_price: "gratis" }],
      nytt_falt: 1,
    }));
  }
  assert.deepEqual(
    await db.query(
      `select o.kind || ' ' || o.field || ' ' || o.count as line from sync.source_observations o
       join sync.connections c on c.id = o.connection_id where c.organization_id = $1 order by 1`,
      [tenant.id],
    ),
    [
      { line: "refused_field latitude 2" },
      { line: "refused_field products[].unit_price 2" },
      { line: "unknown_field latitude 1" },
      { line: "unknown_field nytt_falt 1" },
      { line: "unknown_field products 1" },
    ],
  );
});

test("rule: every word of the source is read: an unknown word of Headout's is named once and counted once", async (db) => {
  const tenant = await db.tenant();
  const { status: _, extra: __, ...booking } = buildSnapshot().booking;
  const verdict = await tenant.applyOne(
    { ...buildSnapshot(), booking: { ...booking, source_status: "ON_HOLD" } },
    { source: "headout" },
  );
  assert.deepEqual(
    (verdict as unknown as { warnings: { field: string; code: string }[] }).warnings
      .map(({ field, code }) => [field, code]),
    [["status", "unknown_status"]],
  );
  assert.deepEqual(
    await db.query(
      `select o.kind, o.word, o.count::integer from sync.source_observations o
       join sync.connections c on c.id = o.connection_id where c.organization_id = $1`,
      [tenant.id],
    ),
    [{ kind: "unknown_status_word", word: "ON HOLD", count: 1 }],
  );
});

test("rule: every word of the source is read: a field of another type is watched as such", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(
    await decodeAnswer(
      tenant,
      foundAnswer(eventflowBooking({
        title: { sv: "Fest" },
        carry_more_than_10m: "nej",
        tent_images: {},
        latitude: "abc",
      })),
      "booking-1",
    ),
  );
  assert.deepEqual(
    await db.query(
      `select o.kind, o.field from sync.source_observations o
       join sync.connections c on c.id = o.connection_id
       where c.organization_id = $1 and o.kind <> 'unknown_field' order by 1, 2`,
      [tenant.id],
    ),
    [
      { kind: "changed_type", field: "carry_more_than_10m" },
      { kind: "changed_type", field: "tent_images" },
      { kind: "changed_type", field: "title" },
      { kind: "refused_field", field: "latitude" },
    ],
  );
});
