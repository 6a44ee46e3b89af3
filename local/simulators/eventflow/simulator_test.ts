import assert from "node:assert/strict";
import { createControlClient } from "../control_client.ts";
import { createEventflowSimulator } from "./simulator.ts";
import { seedBooking, seedId, seedIndex } from "./seed.ts";

const organization = "11111111-1111-4111-8111-111111111111";
const now = Date.parse("2026-05-10T12:00:00Z");
const received: Request[] = [];
const clock = { now };

function setUp(count = 25, options: { readonly flags?: boolean } = {}) {
  clock.now = now;
  const mount = "/simulators/eventflow";
  received.length = 0;
  const simulator = createEventflowSimulator({
    mount,
    apiKey: "key",
    webhookUrl: "http://localhost/functions/v1/receive-booking",
    webhookKey: "secret",
    now: () => clock.now,
    seed: { count },
    ...options,
    fetch: (input, init) => {
      received.push(new Request(input, init));
      return Promise.resolve(Response.json({ success: true }, { status: 202 }));
    },
  });
  const read = async (query: string, headers: Record<string, string> = {}) => {
    const answer = await simulator(
      new Request(
        `http://localhost${mount}/export_bookings?organization_id=${organization}${query}`,
        {
          headers: { "x-api-key": "key", authorization: "Bearer key", ...headers },
        },
      ),
    );
    return { status: answer.status, text: await answer.text(), headers: answer.headers };
  };
  // deno-lint-ignore no-explicit-any
  const json = async (query: string): Promise<any> => JSON.parse((await read(query)).text);
  return { read, json, control: createControlClient(simulator, mount) };
}

Deno.test("createEventflowSimulator() refuses a caller that sends only one of both credentials", async () => {
  const { read } = setUp();
  assert.equal((await read("", { authorization: "" })).status, 401);
  assert.equal((await read("", { "x-api-key": "wrong" })).status, 401);
});

Deno.test("createEventflowSimulator() answers for one booking in contract 1.1", async () => {
  const { json } = setUp();
  const answer = await json(`&booking_id=${seedId(3)}`);
  assert.equal(answer.contract_version, "1.1");
  assert.equal(answer.found, true);
  assert.equal(answer.booking_id, seedId(3));
  assert.equal(answer.organization_id, organization);
  assert.equal(
    answer.booking.booking_number,
    seedBooking(
      { seed: 1, count: 25, firstDay: "2026-06-01" },
      3,
    ).booking_number,
  );
});

Deno.test("createEventflowSimulator() changes the tokens of file URLs, and nothing else, on each read", async () => {
  const { read } = setUp();
  const [first, second] = [
    await read(`&booking_id=${seedId(1)}`),
    await read(`&booking_id=${seedId(1)}`),
  ];
  assert.notEqual(first.text, second.text);
  const plain = (text: string) => text.replaceAll(/\?token=[0-9a-f-]+/g, "");
  assert.equal(plain(first.text), plain(second.text));
});

Deno.test("createEventflowSimulator() pages through every booking once", async () => {
  const { json } = setUp(45);
  const pages = [
    await json("&limit=20&page=1"),
    await json("&limit=20&page=2"),
    await json("&limit=20&page=3"),
  ];
  assert.deepEqual(pages.map((page) => page.data.length), [20, 20, 5]);
  assert.equal(
    new Set(pages.flatMap((page) => page.data.map((each: { id: string }) => each.id))).size,
    45,
  );
});

Deno.test("createEventflowSimulator() reads a far booking without computing those before it", async () => {
  const { json } = setUp(1_000_000);
  assert.equal((await json(`&booking_id=${seedId(999_999)}`)).found, true);
  assert.equal(seedIndex(seedId(999_999)), 999_999);
});

Deno.test("createEventflowSimulator() tells a cancelled and a deleted booking by a tombstone", async () => {
  const { json, control } = setUp();
  await control.cancel(seedId(0));
  await control.patch(seedId(1), { status: "CONFIRMED" });
  await control.delete(seedId(1));
  const cancelled = await json(`&booking_id=${seedId(0)}`);
  assert.deepEqual([cancelled.reason, cancelled.tombstone.source_status], [
    "cancelled",
    "CANCELLED",
  ]);
  assert.equal(cancelled.tombstone.organization_id, organization);
  const deleted = await json(`&booking_id=${seedId(1)}`);
  assert.deepEqual([deleted.reason, deleted.tombstone.source_status], ["deleted", "DELETED"]);
  assert.equal((await json("&booking_id=unknown")).reason, "not_found");
});

Deno.test("createEventflowSimulator() bumps the revision with a change unless told not to", async () => {
  const { control } = setUp();
  const before = await control.get(seedId(2));
  const still = await control.patch(seedId(2), { title: "Ny" }, {
    bump: false,
    remove: ["products"],
  });
  assert.deepEqual([still.version, still.updated_at], [before.version, before.updated_at]);
  assert.ok(!("products" in still));
  const bumped = await control.patch(seedId(2), { title: "Nyare" });
  assert.equal(bumped.version, Number(before.version) + 1);
  assert.equal(bumped.updated_at, new Date(now).toISOString());
});

Deno.test("createEventflowSimulator() leaves cancelled bookings out of a list by since", async () => {
  const { json, control } = setUp();
  await control.patch(seedId(4), { title: "Ändrad", status: "CONFIRMED" });
  await control.cancel(seedId(5));
  const since = new Date(now).toISOString();
  assert.deepEqual((await json(`&since=${since}`)).data.map((each: { id: string }) => each.id), [
    seedId(4),
  ]);
});

Deno.test("createEventflowSimulator() shows an organization with bookings of its own only those", async () => {
  const { json, control } = setUp();
  await control.create({ id: "own", organization_id: organization });
  assert.deepEqual((await json("")).data.map((each: { id: string }) => each.id), ["own"]);
  await control.create({ id: "theirs", organization_id: "22222222-2222-4222-8222-222222222222" });
  assert.equal((await json("&booking_id=theirs")).reason, "organization_mismatch");
});

Deno.test("createEventflowSimulator() misbehaves as told, as often as told", async () => {
  const { read, json, control } = setUp();
  const one = `&booking_id=${seedId(6)}`;
  await control.patch(seedId(6), { status: "CONFIRMED" });
  await control.setFault({ mode: "status", status: 502 });
  await control.setFault({ mode: "html" });
  assert.equal((await read(one)).status, 502);
  assert.match((await read(one)).headers.get("content-type") ?? "", /html/);
  await control.setFault({ mode: "contract_version", version: "2.0", booking_id: seedId(6) });
  assert.equal((await json(one)).contract_version, "2.0");
  await control.setFault({ mode: "other_booking" });
  assert.notEqual((await json(one)).booking.id, seedId(6));
  await control.setFault({ mode: "empty" });
  assert.deepEqual(await json(one), { data: [] });
  assert.equal((await json(one)).found, true);
});

Deno.test("createEventflowSimulator() sends the thin webhook and returns the answer", async () => {
  const { control } = setUp();
  const answer = await control.sendWebhook(seedId(7), { organization_id: organization });
  assert.deepEqual(answer, { status: 202, body: { success: true } });
  assert.equal(received[0]?.headers.get("x-api-key"), "secret");
  assert.deepEqual(await received[0]?.json(), {
    booking_id: seedId(7),
    event_type: "updated",
    organization_id: organization,
  });
});

Deno.test("createEventflowSimulator() loses and repeats webhooks as told", async () => {
  const { control } = setUp();
  await control.setFault({ mode: "drop" });
  await control.sendWebhook(seedId(7));
  assert.equal(received.length, 0);
  await control.setFault({ mode: "duplicate" });
  await control.sendWebhook(seedId(7));
  assert.equal(received.length, 2);
});

Deno.test("createEventflowSimulator() sends a webhook after the one that follows it as told", async () => {
  const { control } = setUp();
  await control.setFault({ mode: "reorder", booking_id: seedId(7) });
  await control.sendWebhook(seedId(7));
  assert.equal((await control.webhooks()).pending, 1);
  await control.sendWebhook(seedId(8));
  const { pending, webhooks } = await control.webhooks();
  assert.equal(pending, 0);
  assert.deepEqual(webhooks.map((each) => [each.booking_id, each.status]), [
    [seedId(8), 202],
    [seedId(7), 202],
  ]);
});

Deno.test("createEventflowSimulator() sends a burst, one booking after the other", async () => {
  const { control } = setUp();
  const { webhooks, statuses } = await control.burst({
    webhooks: 5,
    seconds: 0.1,
    booking_ids: [seedId(1), seedId(2)],
    organization_id: organization,
  });
  assert.deepEqual([webhooks, statuses], [5, { 202: 5 }]);
  const bodies = await Promise.all(received.map((request) => request.json()));
  assert.deepEqual(bodies.map((body) => body.booking_id), [1, 2, 1, 2, 1].map(seedId));
  assert.equal(bodies[0].organization_id, organization);
});

Deno.test("createEventflowSimulator() counts what it was asked", async () => {
  const { read, control } = setUp();
  await read("");
  await read(`&booking_id=${seedId(1)}`);
  const { counts, requests } = await control.requests();
  assert.deepEqual(counts, { list: 1, single: 1 });
  assert.ok(!JSON.stringify(requests).includes("Bearer"));
});

Deno.test("createEventflowSimulator() sends no completeness flag unless told to", async () => {
  const { read, json, control } = setUp();
  await control.patch(seedId(1), { status: "CONFIRMED" });
  const flags = async (query: string) => {
    const { booking, data } = await json(query);
    const { dates_complete, products_complete, attachments_complete } = booking ?? data[1];
    return [dates_complete, products_complete, attachments_complete];
  };
  const one = `&booking_id=${seedId(1)}`;
  assert.ok(!(await read("")).text.includes("_complete"));
  await control.flags(true);
  assert.deepEqual([await flags(one), await flags("")], [[true, true, true], [true, true, true]]);
  await control.flags(false, { organization_id: organization });
  assert.deepEqual(await flags(one), [false, false, false]);
  await control.flags(true, { booking_id: seedId(1) });
  assert.deepEqual(await flags(one), [true, true, true]);
  for (const scope of [{}, { organization_id: organization }, { booking_id: seedId(1) }]) {
    await control.flags(null, scope);
  }
  assert.ok(!(await read(one)).text.includes("_complete"));
  assert.equal((await setUp(3, { flags: true }).json("")).data[0].dates_complete, true);
});

Deno.test("createEventflowSimulator() refuses flags and lags that mean nothing", async () => {
  const { control } = setUp();
  const refused = (path: string, body: unknown) =>
    assert.rejects(control.request("POST", path, body), / 400 /);
  await refused("/flags", { flags: "true" });
  await refused("/flags", { flags: true, booking: seedId(1) });
  await refused("/flags", { flags: true, booking_id: "a", organization_id: "b" });
  await refused("/lag", { seconds: -1 });
  await refused("/lag", { seconds: 901 });
  await refused("/lag", { seconds: "5" });
});

Deno.test("createEventflowSimulator() shows a booking as of some seconds ago, but sends its webhook at once", async () => {
  const { json, control } = setUp();
  await control.patch(seedId(1), { status: "CONFIRMED", title: "Before" });
  clock.now += 60_000;
  await control.lag(5);
  await control.patch(seedId(1), { title: "After" });
  await control.sendWebhook(seedId(1));
  assert.equal(received.length, 1);
  const titles = async () => [
    (await json(`&booking_id=${seedId(1)}`)).booking.title,
    (await json("")).data[1].title,
  ];
  assert.deepEqual(await titles(), ["Before", "Before"]);
  clock.now += 4_999;
  assert.deepEqual(await titles(), ["Before", "Before"]);
  clock.now += 1;
  assert.deepEqual(await titles(), ["After", "After"]);
});

Deno.test("createEventflowSimulator() lags behind cancellations, deletions and new bookings", async () => {
  const { json, control } = setUp(3);
  for (const index of [0, 1]) await control.patch(seedId(index), { status: "CONFIRMED" });
  clock.now += 60_000;
  await control.lag(10);
  await control.cancel(seedId(0));
  await control.delete(seedId(1));
  await control.create({ id: "new", status: "CONFIRMED" });
  const seen = async () => [
    (await json(`&booking_id=${seedId(0)}`)).reason ?? "found",
    (await json(`&booking_id=${seedId(1)}`)).reason ?? "found",
    (await json("&booking_id=new")).reason ?? "found",
    (await json("")).data.map((each: { id: string }) => each.id),
  ];
  const seeded = [0, 1, 2].map(seedId);
  assert.deepEqual(await seen(), ["found", "found", "not_found", seeded]);
  clock.now += 10_000;
  assert.deepEqual(await seen(), ["cancelled", "deleted", "found", [seedId(0), seedId(2), "new"]]);
});

Deno.test("createEventflowSimulator() lags for one booking, one organization or all", async () => {
  const { json, control } = setUp();
  const title = async (index: number) => (await json(`&booking_id=${seedId(index)}`)).booking.title;
  for (const index of [1, 2]) {
    await control.patch(seedId(index), { status: "CONFIRMED", title: "A" });
  }
  clock.now += 60_000;
  for (const index of [1, 2]) await control.patch(seedId(index), { title: "B" });
  await control.lag(5, { booking_id: seedId(1) });
  assert.deepEqual([await title(1), await title(2)], ["A", "B"]);
  await control.lag(5, { organization_id: "22222222-2222-4222-8222-222222222222" });
  assert.deepEqual([await title(1), await title(2)], ["A", "B"]);
  await control.lag(5, { organization_id: organization });
  await control.lag(0, { booking_id: seedId(1) });
  assert.deepEqual([await title(1), await title(2)], ["B", "A"]);
});

Deno.test("createEventflowSimulator() shows a frozen booking as it was, however late it is", async () => {
  const { json, control } = setUp();
  const title = async () => (await json(`&booking_id=${seedId(1)}`)).booking.title;
  await control.patch(seedId(1), { status: "CONFIRMED", title: "A" });
  clock.now += 1;
  await control.lag("frozen", { booking_id: seedId(1) });
  await control.patch(seedId(1), { title: "B" });
  assert.equal(await title(), "A");
  clock.now += 600_000;
  assert.equal(await title(), "A");
  await control.lag(null, { booking_id: seedId(1) });
  assert.equal(await title(), "B");
});

Deno.test("createEventflowSimulator() forgets lags, flags, flickers and older states with a reset", async () => {
  const { json, control } = setUp();
  await control.request("POST", `/bookings/${seedId(0)}/move`, {
    phase: "event",
    to: "2026-09-01",
  });
  clock.now += 60_000;
  await control.patch(seedId(0), { title: "B" });
  await control.lag(5);
  await control.flags(true);
  await control.empty(seedId(0), { collection: "products" });
  await control.reset();
  const seeded = seedBooking({ seed: 1, count: 25, firstDay: "2026-06-01" }, 0);
  const read = async () => (await json(`&booking_id=${seedId(0)}`)).booking;
  const shown = await read();
  assert.deepEqual([shown.event_dates, shown.products], [seeded.event_dates, seeded.products]);
  assert.equal(shown.dates_complete, undefined);
  await control.patch(seedId(0), { title: "C" });
  assert.equal((await read()).title, "C");
  await control.lag(5);
  assert.deepEqual((await read()).event_dates, seeded.event_dates);
});

Deno.test("createEventflowSimulator() flickers between the first day of a phase and all of them", async () => {
  const { json, control } = setUp();
  const days = ["2026-09-02", "2026-09-03", "2026-09-04"];
  const eventdate = "2026-09-03";
  const { version } = await control.patch(seedId(1), {
    status: "CONFIRMED",
    event_dates: [...days].reverse(),
    eventdate,
  });
  const read = async () => (await json(`&booking_id=${seedId(1)}`)).booking;
  await control.flicker(seedId(1), { phase: "event", reads: 2 });
  for (const _ of [1, 2]) {
    const shown = await read();
    assert.deepEqual([shown.event_dates, shown.eventdate], [["2026-09-02"], null]);
    assert.equal(shown.version, version);
  }
  const after = await read();
  assert.deepEqual([after.event_dates.toSorted(), after.eventdate], [days, eventdate]);
  await control.flicker(seedId(1), { phase: "event" });
  for (const _ of [1, 2, 3]) assert.deepEqual((await read()).event_dates, ["2026-09-02"]);
  assert.deepEqual((await json("")).data[1].event_dates, ["2026-09-02"]);
  await control.flicker(seedId(1), { phase: "event", reads: 0 });
  assert.equal((await read()).event_dates.length, 3);
  await assert.rejects(control.flicker(seedId(1), { phase: "products" }), / 400 /);
});

Deno.test("createEventflowSimulator() sends a list as [] for some reads or until told", async () => {
  const { json, control } = setUp();
  await control.patch(seedId(1), { status: "CONFIRMED", rig_date: "2026-09-01" });
  const read = async () => (await json(`&booking_id=${seedId(1)}`)).booking;
  const whole = await read();
  await control.empty(seedId(1), { collection: "products", reads: 1 });
  await control.empty(seedId(1), { collection: "files" });
  await control.empty(seedId(1), { collection: "rig" });
  const shown = await read();
  assert.deepEqual([shown.products, shown.rig_up_dates, shown.rig_date], [[], [], null]);
  assert.deepEqual([shown.attachments, shown.files_metadata, shown.tent_images], [[], [], []]);
  assert.deepEqual(shown.event_dates, whole.event_dates);
  const next = await read();
  assert.deepEqual([next.products, next.rig_up_dates], [whole.products, []]);
  await control.empty(seedId(1), { collection: "files", reads: 0 });
  await control.empty(seedId(1), { collection: "rig", reads: 0 });
  await control.patch(seedId(2), { status: "CONFIRMED", rigdaydate: "2026-09-01" }, {
    remove: ["rig_up_dates"],
  });
  await control.empty(seedId(2), { collection: "rig" });
  const scalar = (await json(`&booking_id=${seedId(2)}`)).booking;
  assert.deepEqual([scalar.rig_up_dates, scalar.rigdaydate], [[], null]);
  const after = await read();
  assert.deepEqual([after.rig_up_dates, after.rig_date], [whole.rig_up_dates, "2026-09-01"]);
  assert.equal(after.attachments.length, whole.attachments.length);
});

Deno.test("createEventflowSimulator() removes a day, a product and a file for good", async () => {
  const { control } = setUp();
  const before = await control.patch<Booking>(seedId(1), {
    rig_up_dates: ["2026-09-01", "2026-09-02"],
    rigdaydate: "2026-09-02",
  });
  const day = await control.shrink<Booking>(seedId(1), { phase: "rig" });
  assert.deepEqual([day.rig_up_dates, day.rigdaydate], [["2026-09-01"], null]);
  assert.equal(day.version, before.version + 1);
  const product = await control.shrink<Booking>(seedId(1), { product: before.products[1]?.id });
  assert.deepEqual(product.products, before.products.toSpliced(1, 1));
  const [file] = before.attachments;
  const files = await control.shrink<Booking>(seedId(1), { file: file?.public_url });
  assert.deepEqual(files.attachments, before.attachments.slice(1));
  assert.deepEqual(await control.get(seedId(1)), files);
  for (
    const what of [{}, { phase: "event", day: "1999-01-01" }, { product: "none" }, { file: "x" }]
  ) {
    await assert.rejects(control.shrink(seedId(1), what), / 400 /);
  }
});

Deno.test("createEventflowSimulator() moves the days of a phase, or of all", async () => {
  const { control } = setUp();
  const before = await control.patch<Booking>(seedId(1), {
    rig_up_dates: ["2026-09-01"],
    event_dates: ["2026-09-02", "2026-09-03T10:00:00"],
    rig_down_dates: ["2026-09-04"],
  });
  const event = await control.move<Booking>(seedId(1), { phase: "event", to: "2026-09-06" });
  assert.deepEqual(event.event_dates, ["2026-09-06", "2026-09-07T10:00:00"]);
  assert.deepEqual(event.rig_up_dates, before.rig_up_dates);
  assert.equal(event.version, before.version + 1);
  const all = await control.move<Booking>(seedId(1), { days: -1 });
  assert.deepEqual(
    [all.rig_up_dates, all.event_dates, all.rig_down_dates],
    [["2026-08-31"], ["2026-09-05", "2026-09-06T10:00:00"], ["2026-09-03"]],
  );
  const { version } = await control.request<Booking>(
    "POST",
    `/bookings/${seedId(1)}/move?bump=false`,
    { days: 1 },
  );
  assert.equal(version, all.version);
  for (const how of [{}, { days: 0.5 }, { to: "soon" }, { phase: "rig", to: "2026-13-01" }]) {
    await assert.rejects(control.move(seedId(1), how), / 400 /);
  }
});

/** What these tests read of a booking. */
interface Booking extends Record<string, unknown> {
  readonly version: number;
  readonly products: readonly { readonly id: string }[];
  readonly attachments: readonly { readonly public_url?: string }[];
}
