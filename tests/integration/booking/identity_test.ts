import { attachments, buildSnapshot, complete, products } from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, eventflowBooking, foundAnswer } from "../../support/eventflow_answer.ts";
import { packedPieces } from "../../support/packing.ts";
import { only } from "../../support/tenant.ts";
import { cachedUrlKey, urlKey } from "../../../supabase/functions/_shared/booking/child_keys.ts";
import assert from "node:assert/strict";

const test = useDatabase();

test("rule: identity is organization, source and external id: equal external ids under two bookings are two rows", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply(["a", "b"].map((external_id) => buildSnapshot({ external_id })));
  for (const [table, count] of [["booking_products", 4], ["booking_attachments", 2]] as const) {
    assert.equal((await tenant.select(table, "id")).length, count, table);
  }
});

test("rule: one writer per table: every unique rule is a constraint of the database", async (db) => {
  const found = await db.query<{ rule: string }>(
    `select replace(i.indrelid::regclass::text, 'public.', '') || ' ' ||
       (select string_agg(a.attname, ', ' order by k.n) from unnest(i.indkey) with ordinality k (num, n)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num)
       || coalesce(' where ' || pg_get_expr(i.indpred, i.indrelid), '') as rule
     from pg_index i join pg_class c on c.oid = i.indrelid
     join pg_namespace n on n.oid = c.relnamespace
     where i.indisunique and n.nspname in ('public', 'sync')`,
  );
  const rules = new Set(found.map(({ rule }) => rule));
  const expected = [
    "bookings organization_id, source, external_id",
    "booking_dates booking_id, phase, day",
    "booking_products booking_id, external_id",
    "booking_attachments booking_id, url_key",
    "calendar_events booking_id, event_type, day",
    "warehouse_events booking_id, event_type, basis_day",
    "packing_projects booking_id",
    "packing_tasks packing_project_id, kind",
    "packing_items packing_project_id, booking_product_id",
    "packing_change_requests packing_project_id, booking_product_id, change_type where (status = 'pending'::text)",
    "sync.connections organization_id, source",
    "sync.deliveries dedupe_key where (status <> 'duplicate'::text)",
    "sync.deliveries connection_id, external_id where (status = 'processing'::text)",
    "sync.source_states organization_id, source, external_id",
    "sync.held_changes booking_id, class where ((released_at IS NULL) AND (dismissed_at IS NULL))",
  ];
  for (const rule of expected) assert.ok(rules.has(rule), `${rule} is missing: ${[...rules]}`);
});

test("incident: two products of one name merged: two products of one name stay two", async (db) => {
  const tenant = await db.tenant();
  const rows = [{ id: "a", name: "Stol", quantity: 10 }, { id: "b", name: "Stol", quantity: 7 }];
  const answer = foundAnswer(eventflowBooking({ products: rows }));
  await tenant.applyOne(decodeAnswer(tenant, answer));
  assert.deepEqual(await packedPieces(db, tenant), { a: 10, b: 7 });
});

test("incident: two products of one name merged: an edit of a price alone is seen", async (db) => {
  const tenant = await db.tenant();
  const priced = (unit_price: number) =>
    buildSnapshot({ products: products({ external_id: "a", name: "Stol", unit_price }) });
  await tenant.applyOne(priced(12));
  assert.deepEqual((await tenant.applyOne(priced(0))).changes, {
    booking_products: { created: 0, updated: 1, marked_missing: 0 },
  });
  assert.deepEqual(await tenant.select("booking_products", "unit_price"), [{ unit_price: 0 }]);
});

test("incident: attachments multiplied by tokens: changing tokens make no new rows and no change", async (db) => {
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

test("incident: attachments multiplied by tokens: fresh links are stored when the booking is written anyway", async (db) => {
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

test("incident: attachments multiplied by tokens: a user's upload survives every statement of the source", async (db) => {
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

test("incident: a default organization: a webhook without an organization is nobody's, never a default's", async (db) => {
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

test("incident: a default organization: two tenants share an id and nothing else", async (db) => {
  const [mine, theirs] = [await db.tenant(), await db.tenant()];
  await mine.applyOne(buildSnapshot());
  await theirs.applyOne(buildSnapshot({ booking: { title: "Deras" } }));
  assert.deepEqual(await mine.select("bookings", "title"), [{ title: "Sommarfest" }]);
  assert.deepEqual(await theirs.select("bookings", "title"), [{ title: "Deras" }]);
  const seen = await mine.asPlanner((sql) => sql.query("select title from public.bookings"));
  assert.deepEqual(seen, [{ title: "Sommarfest" }]);
});

test("incident: attachments multiplied by tokens: the database knows a file by the same rule", async (db) => {
  const urls = [
    "https://f.example.com/d",
    "https://f.example.com/d?id=7&token=a#p",
    "https://f.example.com/d?X-Amz-Date=1&id=7&v=2",
    "https://f.example.com/d?t=1&&_=3",
    "https://f.example.com/d?Keyword=1&key=2",
  ];
  const rows = await db.query<{ key: string; cached: string }>(
    `select sync.url_key(u.url) as key, sync.url_key(u.url, true) as cached
     from unnest($1::text[]) with ordinality u (url, place) order by u.place`,
    [urls],
  );
  assert.deepEqual(rows, urls.map((url) => ({ key: urlKey(url), cached: cachedUrlKey(url) })));
});

test("incident: attachments multiplied by tokens: files that differ in their query alone are told apart, and a stored key stays with its file", async (db) => {
  const tenant = await db.tenant();
  let said = 0;
  const say = async (...urls: readonly string[]) =>
    await tenant.applyOne(
      await decodeAnswer(
        tenant,
        foundAnswer(eventflowBooking({
          // Fresh links are stored with a change.
          title: `Fest ${++said}`,
          attachments: urls.map((query) => ({ url: `https://f.example.com/d${query}` })),
        })),
        "booking-1",
      ),
    );
  const files = () =>
    tenant.select<{ id: number; url: string }>(
      "booking_attachments",
      "id, replace(url, 'https://f.example.com/d', '') as url",
      "and source_missing_since is null and source_doubted_since is null order by id",
    );
  await say("?v=1&token=a", "?id=7");
  const [first, second] = await files();
  assert.deepEqual([first?.url, second?.url], ["?v=1&token=a", "?id=7"]);
  // Another version of the same file is the same file, until both are listed at once.
  await say("?v=2&token=b", "?id=7&token=c");
  assert.deepEqual((await files()).map(({ id }) => id), [first?.id, second?.id]);
  await say("?v=3", "?v=2", "?id=7");
  const three = await files();
  assert.deepEqual(three.map(({ id, url }) => [id === first?.id, url]), [
    [true, "?v=2"],
    [false, "?id=7"],
    [false, "?v=3"],
  ]);
  await say("?v=2", "?id=7");
  assert.equal((await files()).some(({ id }) => id === first?.id), true);
});
