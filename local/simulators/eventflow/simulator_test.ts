import assert from "node:assert/strict";
import { createControlClient } from "../control_client.ts";
import { createEventflowSimulator } from "./simulator.ts";
import { seedBooking, seedId, seedIndex } from "./seed.ts";

const organization = "11111111-1111-4111-8111-111111111111";
const now = Date.parse("2026-05-10T12:00:00Z");
const received: Request[] = [];

function setUp(count = 25) {
  const mount = "/simulators/eventflow";
  received.length = 0;
  const simulator = createEventflowSimulator({
    mount,
    apiKey: "key",
    webhookUrl: "http://localhost/functions/v1/receive-booking",
    webhookKey: "secret",
    now: () => now,
    seed: { count },
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
