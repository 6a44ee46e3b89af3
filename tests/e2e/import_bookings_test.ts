import assert from "node:assert/strict";
import { assertError, bodyOf } from "../support/answers.ts";
import { allRows, domainRows } from "../support/rows.ts";
import { type TestStack, useStack } from "../support/stack.ts";

const stackTest = useStack();

async function bookingOf(stack: TestStack, fields: Record<string, unknown> = {}) {
  const organization_id = await stack.organization();
  const booking = await stack.eventflow.create({
    organization_id,
    title: "Sommarfest",
    status: "CONFIRMED",
    rig_up_dates: ["2027-06-01"],
    event_dates: ["2027-06-02"],
    rig_down_dates: ["2027-06-03"],
    products: [{ id: "p1", name: "Tält", quantity: 2, unit_price: 100 }],
    ...fields,
  });
  return { booking_id: String(booking.id), organization_id };
}

interface Change {
  readonly table: string;
  readonly key: string;
  readonly operation: string;
  readonly fields: Readonly<Record<string, readonly [unknown, unknown]>>;
}

stackTest("import-bookings imports one booking and says what it did", async (stack) => {
  const order = await bookingOf(stack, { status: "Kanske", surprise: { a: 1 } });
  const answer = bodyOf(await stack.postImport({ syncMode: "single", ...order }));
  const { changes, warnings, ...rest } = answer;
  assert.deepEqual(rest, {
    success: true,
    syncMode: "single",
    ...order,
    outcome: "created",
  });
  assert.equal(changes.booking_products.created, 1);
  assert.deepEqual(warnings.map((each: { field: string }) => each.field), ["status"]);
  const kept = await stack.database.query(
    "select status, extra from public.bookings where organization_id = $1",
    [order.organization_id],
  );
  assert.deepEqual(kept, [{ status: "PENDING", extra: { surprise: { a: 1 } } }]);
  // With a booking_id and no mode it is single.
  assert.equal(bodyOf(await stack.postImport(order)).outcome, "unchanged");
});

stackTest(
  "import-bookings writes nothing in a dry run of a new booking, and lists what it would",
  async (stack) => {
    const order = await bookingOf(stack);
    const before = await allRows(stack.database);
    const answer = bodyOf(await stack.postImport({ ...order, dry_run: true }));
    assert.equal(answer.outcome, "dry_run");
    assert.deepEqual(await allRows(stack.database), before);
    const tables = new Map<string, number>();
    for (const { table, operation } of answer.changes as readonly Change[]) {
      assert.equal(operation, "created");
      tables.set(table, (tables.get(table) ?? 0) + 1);
    }
    const done = bodyOf(await stack.postImport(order));
    const expected = Object.entries(done.changes).map(([table, counts]) => [
      table,
      (counts as { readonly created: number }).created,
    ]);
    assert.deepEqual([...tables].sort(), expected.sort());
  },
);

stackTest(
  "import-bookings lists in a dry run exactly the fields that then change",
  async (stack) => {
    const order = await bookingOf(stack);
    bodyOf(await stack.postImport(order));
    await stack.eventflow.patch(order.booking_id, {
      title: "Höstfest",
      products: [{ id: "p1", name: "Tält", quantity: 3, unit_price: 100 }],
    });
    const before = await allRows(stack.database);
    const { changes } = bodyOf(await stack.postImport({ ...order, dry_run: true }));
    assert.deepEqual(await allRows(stack.database), before);
    const bySource = (changes as readonly Change[]).filter(({ table }) =>
      ["bookings", "booking_products", "booking_dates"].includes(table)
    );
    assert.deepEqual(
      bySource.map(({ table, key, operation, fields }) => ({
        table,
        operation,
        title: fields.title,
        quantity: fields.quantity,
        names: Object.keys(fields).length,
        key: table === "booking_products" ? key : undefined,
      })),
      [
        {
          table: "bookings",
          operation: "updated",
          title: ["Sommarfest", "Höstfest"],
          quantity: undefined,
          names: 1,
          key: undefined,
        },
        {
          table: "booking_products",
          operation: "updated",
          title: undefined,
          quantity: [2, 3],
          names: 1,
          key: "p1",
        },
      ],
    );
    assert.equal(bodyOf(await stack.postImport(order)).outcome, "updated");
    const [history] = await stack.database.query<{ changes: Record<string, unknown> }>(
      "select changes from public.booking_history where organization_id = $1 order by id desc limit 1",
      [order.organization_id],
    );
    assert.deepEqual(history?.changes["bookings.title"], ["Sommarfest", "Höstfest"]);
    assert.deepEqual(history.changes["booking_products[p1].quantity"], [2, 3]);
    assert.deepEqual(bodyOf(await stack.postImport({ ...order, dry_run: true })).changes, []);
  },
);

stackTest("import-bookings repairs with force what somebody changed by hand", async (stack) => {
  const order = await bookingOf(stack);
  bodyOf(await stack.postImport(order));
  await stack.database.query(
    "update public.bookings set title = 'By hand' where organization_id = $1",
    [order.organization_id],
  );
  assert.equal(bodyOf(await stack.postImport(order)).outcome, "unchanged");
  assert.equal(bodyOf(await stack.postImport({ ...order, force: true })).outcome, "updated");
  const rows = await stack.database.query(
    "select title from public.bookings where organization_id = $1",
    [order.organization_id],
  );
  assert.deepEqual(rows, [{ title: "Sommarfest" }]);
});

stackTest(
  "import-bookings says stale of an older revision, and takes it with force",
  async (stack) => {
    const order = await bookingOf(stack, { version: 5 });
    bodyOf(await stack.postImport(order));
    await stack.eventflow.patch(order.booking_id, { title: "Äldre", version: 4 });
    const before = await domainRows(stack.database);
    assert.equal(bodyOf(await stack.postImport(order)).outcome, "stale");
    assert.deepEqual(await domainRows(stack.database), before);
    assert.equal(bodyOf(await stack.postImport({ ...order, force: true })).outcome, "updated");
  },
);

const failures: Readonly<Record<string, readonly [Record<string, unknown>, number, string]>> = {
  "does not know the booking": [{ mode: "absent", reason: "not_found" }, 404, "booking_not_found"],
  "contradicts itself": [{ mode: "other_booking" }, 409, "source_contradiction"],
  "is down": [{ mode: "status", status: 503 }, 502, "source_unavailable"],
  "answers an empty list": [{ mode: "empty" }, 502, "source_unavailable"],
  "answers HTML": [{ mode: "html" }, 502, "source_unavailable"],
};
for (const [kind, [fault, status, code]] of Object.entries(failures)) {
  stackTest(
    `import-bookings answers ${status} ${code} when the source ${kind}, and writes no row`,
    async (stack) => {
      const order = await bookingOf(stack);
      bodyOf(await stack.postImport(order));
      await stack.eventflow.patch(order.booking_id, { title: "Höstfest" });
      const before = await allRows(stack.database);
      await stack.eventflow.setFault({ ...fault, booking_id: order.booking_id });
      const answer = await stack.postImport(order);
      await stack.eventflow.clearFaults();
      assertError(answer, { status, code });
      assert.deepEqual(await allRows(stack.database), before);
    },
  );
}

stackTest("import-bookings passes a source's Retry-After on", async (stack) => {
  const order = await bookingOf(stack);
  const fault = { mode: "rate_limit", retry_after: 77, booking_id: order.booking_id };
  await stack.eventflow.setFault(fault);
  const answer = await stack.postImport(order);
  assertError(answer, { status: 502, code: "source_unavailable", retryAfter: true });
  assert.equal(answer.headers.get("retry-after"), "77");
});

stackTest(
  "import-bookings answers 503 sync_paused while the connection is paused",
  async (stack) => {
    const order = await bookingOf(stack);
    const connection = { organization_id: order.organization_id, source: "eventflow" };
    await stack.service.rpc("pause_connection", { ...connection, reason: "test" });
    const before = await allRows(stack.database);
    const answer = await stack.postImport(order);
    assertError(answer, { status: 503, code: "sync_paused", retryAfter: true });
    assert.deepEqual(await allRows(stack.database), before);
  },
);

stackTest("import-bookings reads a Headout booking when it is asked for one", async (stack) => {
  const organization_id = await stack.organization();
  const order = { booking_id: 123456789, organization_id, source: "headout" };
  const answer = bodyOf(await stack.postImport(order));
  assert.deepEqual([answer.booking_id, answer.outcome], ["123456789", "created"]);
  const rows = await stack.database.query(
    "select source::text, external_id, is_stub from public.bookings where organization_id = $1",
    [organization_id],
  );
  assert.deepEqual(rows, [{ source: "headout", external_id: "123456789", is_stub: false }]);
});

stackTest("import-bookings does not touch a delivery that another worker holds", async (stack) => {
  const order = await bookingOf(stack);
  const { data } = await stack.service.rpc("receive_delivery", {
    function: "receive-booking",
    source: "eventflow",
    external_id: order.booking_id,
    organization_id: order.organization_id,
  });
  assert.equal(data[0].outcome, "claimed");
  const before = await allRows(stack.database);
  const answer = await stack.postImport({
    ...order,
    delivery_id: data[0].delivery_id,
    lease_token: crypto.randomUUID(),
  });
  assertError(answer, { status: 503, code: "lease_lost", retryAfter: true });
  assert.deepEqual(await allRows(stack.database), before);
});

for (const syncMode of ["incremental", "full", "drain", "reconcile"]) {
  stackTest(
    `import-bookings runs ${syncMode}`,
    async (stack) => {
      const organization_id = await stack.organization();
      await stack.eventflow.create({ organization_id });
      const answer = await stack.postImport({ syncMode, organization_id, source: "eventflow" });
      assert.deepEqual([answer.status, answer.body.success], [200, true]);
    },
  );
}
