import assert from "node:assert/strict";
import {
  attachments,
  buildSnapshot,
  complete,
  days,
  products,
  type SnapshotFields,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { decodePage, eventflowBooking } from "../../support/eventflow_answer.ts";

const test = useDatabase();

/** Names that have hurt somebody somewhere. */
const names: readonly string[] = [
  `Robert'); drop table public.bookings; --`,
  `<script>alert("x")</script><img src=x onerror=alert(1)>`,
  `$1 $$ $body$ \\ \\' %s %I %L {title} {client}`,
  `"; select pg_sleep(10); --`,
  `${"🎪".repeat(50)} e\u0301 \u202eright to left\u202c \ufeff`,
  `line one\nline two\ttab\r\n`,
  `{"a":1,"b":[null]}`,
  `null`,
  ` `,
];

test("hostile content: names are text and nothing else", async (db) => {
  const tenant = await db.tenant();
  const page = names.map((name, index) =>
    buildSnapshot({
      external_id: `${index} ${name}`.slice(0, 200),
      booking: { title: name, client_name: name, source_notes: name, delivery_address: name },
      products: products({ external_id: name, name, notes: name, tags: [name], sku: name }),
      attachments: attachments({ url: "https://x.example/a", file_name: name }),
    })
  );
  const verdicts = await tenant.apply(page);
  assert.ok(verdicts.every(({ verdict }) => verdict === "created"), JSON.stringify(verdicts));
  const stored = await tenant.select("bookings", "title, client_name, source_notes", "order by id");
  assert.deepEqual(
    stored,
    names.map((name) => ({ title: name, client_name: name, source_notes: name })),
  );
  const rows = await tenant.select("booking_products", "external_id, name, tags", "order by id");
  assert.deepEqual(rows, names.map((name) => ({ external_id: name, name, tags: [name] })));
  const mark = await db.mark();
  const again = await tenant.apply(page, { force: true });
  assert.ok(again.every(({ verdict }) => verdict === "unchanged"), JSON.stringify(again));
  assert.deepEqual(await db.writtenSince(mark), { "sync.source_states": names.length });
});

test("hostile content: a client called {title} is not filled in", async (db) => {
  const tenant = await db.tenant();
  const booking = { client_name: "{title}", title: "Fest" };
  await tenant.applyOne(buildSnapshot({ booking, dates: days(["rig", "2027-06-10"]) }));
  const titles = await tenant.select("calendar_events", "title");
  assert.deepEqual(titles, [{ title: "Fest – {title}" }]);
});

test("hostile content: keys such as __proto__ are kept as they are", async (db) => {
  const tenant = await db.tenant();
  const raw = JSON.parse(
    `{"id":"proto","status":"CONFIRMED","__proto__":{"admin":true},"constructor":{"x":1},
      "products":[{"id":"__proto__","quantity":2,"__proto__":{"y":1}}]}`,
  );
  const page = decodePage(tenant, [raw]);
  const [verdict] = await tenant.apply(page.snapshots);
  assert.equal(verdict?.verdict, "created");
  const [booking] = await tenant.select<{ extra: Record<string, unknown> }>("bookings", "extra");
  assert.deepEqual(Object.keys(booking?.extra ?? {}).sort(), [
    "__proto__",
    "constructor",
    "products",
  ]);
  assert.equal(({} as Record<string, unknown>)["admin"], undefined, "a prototype was changed");
  assert.deepEqual(await tenant.select("booking_products", "external_id, quantity"), [
    { external_id: "__proto__", quantity: 2 },
  ]);
});

test("rule: one booking stops nothing: a field that cannot be stored is left out by name, and its booking lands", async (db) => {
  const tenant = await db.tenant();
  const page = decodePage(tenant, [
    eventflowBooking({ id: "good-1" }),
    eventflowBooking({ id: "nul", title: "a\u0000b" }),
    eventflowBooking({ id: "surrogate", title: "a\ud800b" }),
    eventflowBooking({ id: "nested", economics: { deep: [{ "k\u0000": 1 }] } }),
    eventflowBooking({ id: "product", products: [{ id: "p", name: "\udc00" }] }),
    eventflowBooking({ id: "good-2" }),
  ]);
  assert.deepEqual(page.invalid, []);
  const verdicts = await tenant.apply(page.snapshots);
  assert.deepEqual(verdicts.map(({ verdict }) => verdict), Array(6).fill("created"));
  assert.deepEqual(
    page.snapshots.map(({ external_id, warnings }) => [external_id, warnings?.[0]?.field]),
    [
      ["good-1", undefined],
      ["nul", "title"],
      ["surrogate", "title"],
      ["nested", "economics.deep[0]"],
      ["product", "products[0].name"],
      ["good-2", undefined],
    ],
  );
});

test("hostile content: texts of a megabyte are stored whole", async (db) => {
  const tenant = await db.tenant();
  const long = "å".repeat(1_000_000);
  const { verdict } = await tenant.applyOne(buildSnapshot({
    booking: { source_notes: long, title: long },
    products: products({ external_id: "p", notes: long }),
  }));
  assert.equal(verdict, "created");
  const lengths = await db.query(
    `select length(b.source_notes) as notes, length(c.title) > 1000000 as shown,
       length(p.notes) as product
     from public.bookings b join public.booking_products p on p.booking_id = b.id
     join public.calendar_events c on c.booking_id = b.id and c.event_type = 'rig'
     where b.organization_id = $1`,
    [tenant.id],
  );
  assert.deepEqual(lengths, [{ notes: 1_000_000, shown: true, product: 1_000_000 }]);
});

/** What SQL itself must refuse by name if it ever gets past a decoder. */
const unstorable: Readonly<Record<string, readonly [field: string | null, SnapshotFields]>> = {
  "a text where a number belongs": ["booking.latitude", booking({ latitude: "norr" })],
  "a number beyond double precision": ["booking.latitude", booking({ latitude: "1e999" })],
  "a list where a flag belongs": ["booking.rental_only", booking({ rental_only: [1] })],
  "an unknown phase": ["dates.items[0].phase", dates({ phase: "teardown", day: "2027-06-10" })],
  "a month of 13": ["dates.items[0].day", dates({ phase: "rig", day: "2027-13-01" })],
  "a day beyond the calendar": [null, dates({ phase: "rig", day: "5874897-12-31" })],
  "an hour of 25": [
    "dates.items[0].start_time",
    dates({ phase: "rig", day: "2027-06-10", start_time: "25:00:00" }),
  ],
  "a quantity in words": ["products.items[0].quantity", product({ quantity: "many" })],
  "tags that are no list": ["products.items[0].tags", product({ tags: "one" })],
  "one product twice": [
    "booking_products_booking_external_key",
    { products: { complete: false, items: [{ external_id: "p" }, { external_id: "p" }] } },
  ],
  "a product without an id": [null, { products: { complete: false, items: [{} as never] } }],
  "a key too long for its index": [null, product({ external_id: noise(10_000) })],
  "a name too long for its index": [null, {
    attachments: { complete: false, items: [{ url: "u", url_key: noise(10_000) }] },
  }],
};

for (const [name, [field, broken]] of Object.entries(unstorable)) {
  test(`hostile content: ${name} is refused, and its neighbours land`, async (db) => {
    const tenant = await db.tenant();
    const page = [
      buildSnapshot({ external_id: "before" }),
      buildSnapshot({ external_id: "broken", ...broken } as never),
      buildSnapshot({ external_id: "after" }),
    ];
    const verdicts = await tenant.apply(page);
    assert.deepEqual(verdicts.map(({ verdict }) => verdict), ["created", "invalid", "created"]);
    assert.equal(verdicts[1]?.external_id, "broken");
    const error = verdicts[1]?.error ?? {};
    assert.equal(error.code, "unstorable_snapshot", JSON.stringify(error));
    if (field !== null) assert.equal(error.field, field, JSON.stringify(error));
    assert.deepEqual(await tenant.select("bookings", "external_id", "order by id"), [
      { external_id: "before" },
      { external_id: "after" },
    ]);
  });
}

/** Snapshots whose very structure is wrong. */
const shapeless: readonly unknown[] = [
  null,
  "text",
  7,
  [],
  {},
  { ...buildSnapshot(), external_id: 5 },
  { ...buildSnapshot(), external_id: "" },
  { ...buildSnapshot(), external_id: "x".repeat(201) },
  { ...buildSnapshot(), booking: [] },
  { ...buildSnapshot(), fetched_at: undefined },
  { ...buildSnapshot(), fetched_at: "yesterday-ish" },
  { ...buildSnapshot(), source_version: "seven" },
  { ...buildSnapshot(), booking: { status: "MAYBE" } },
  { ...buildSnapshot(), products: { complete: true } },
  { ...buildSnapshot(), dates: [] },
];

for (const [index, broken] of shapeless.entries()) {
  test(`hostile content: shapeless snapshot ${index} is refused, and its neighbour lands`, async (db) => {
    const tenant = await db.tenant();
    const verdicts = await tenant.apply([broken, buildSnapshot({ external_id: "good" })]);
    assert.deepEqual(verdicts.map(({ verdict }) => verdict), ["invalid", "created"]);
    assert.ok(verdicts[0]?.error !== null, "without a reason");
  });
}

test("hostile content: two snapshots without an id are both invalid, not one stale", async (db) => {
  const tenant = await db.tenant();
  const verdicts = await tenant.apply([null, {}, "text"]);
  assert.deepEqual(verdicts.map(({ verdict }) => verdict), ["invalid", "invalid", "invalid"]);
});

test("hostile content: a row that is its own parent is packed once", async (db) => {
  const tenant = await db.tenant();
  const self = (quantity: number) =>
    buildSnapshot({
      products: complete(products({
        external_id: "self",
        parent_external_id: "self",
        is_package_component: true,
        quantity,
      })),
    });
  await tenant.applyOne(self(3));
  await tenant.applyOne(self(4));
  assert.deepEqual(await tenant.select("packing_items", "quantity_to_pack, active"), [
    { quantity_to_pack: 4, active: true },
  ]);
});

test("hostile content: far years are stored if Postgres can, else refused", async (db) => {
  const tenant = await db.tenant();
  const far = buildSnapshot({ dates: days(["rig", "10000-01-01"], ["rigdown", "0001-01-01"]) });
  const { verdict } = await tenant.applyOne(far);
  assert.equal(verdict, "created");
  const mark = await db.mark();
  await tenant.applyOne(far, { force: true });
  assert.deepEqual(await db.writtenSince(mark), { "sync.source_states": 1 });
  const page = decodePage(tenant, [eventflowBooking({ id: "far", event_dates: ["10000-01-01"] })]);
  const { items, stated } = page.snapshots[0]?.dates ?? {};
  assert.deepEqual(stated, ["rig", "rigdown"], "the decoder let the year 10000 through");
  assert.deepEqual(items?.map(({ phase }) => phase), stated);
});

function booking(fields: Readonly<Record<string, unknown>>): SnapshotFields {
  return { booking: fields as SnapshotFields["booking"] & object };
}

function dates(item: Readonly<Record<string, unknown>>): SnapshotFields {
  return { dates: { complete: false, items: [item as never] } };
}

function product(fields: Readonly<Record<string, unknown>>): SnapshotFields {
  return { products: { complete: false, items: [{ external_id: "p", ...fields } as never] } };
}

/** Text that does not compress. */
function noise(length: number): string {
  return Array.from({ length: Math.ceil(length / 36) }, () => crypto.randomUUID()).join("");
}
