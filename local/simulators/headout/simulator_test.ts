import assert from "node:assert/strict";
import { createControlClient } from "../control_client.ts";
import { sampleBookingId } from "./seed.ts";
import { createHeadoutSimulator } from "./simulator.ts";

const now = Date.parse("2026-05-10T12:00:00Z");

const clock = { now };

function setUp(answers: readonly number[] = [200]) {
  clock.now = now;
  const mount = "/simulators/headout";
  const received: Request[] = [];
  const simulator = createHeadoutSimulator({
    mount,
    apiKey: "tk_key",
    webhookUrl: "http://127.0.0.1:1/functions/v1/headout-webhook",
    webhookKey: "a key",
    retryScale: 0,
    now: () => clock.now,
    fetch: (input, init) => {
      received.push(new Request(input, init));
      const status = answers[received.length - 1] ?? answers.at(-1) ?? 200;
      return Promise.resolve(Response.json({ success: status === 200 }, { status }));
    },
  });
  const read = (path: string, init: RequestInit = {}) =>
    simulator(
      new Request(`http://localhost${mount}/api/public/v2/${path}`, {
        headers: { "headout-auth": "tk_key" },
        ...init,
      }),
    );
  return { read, received, control: createControlClient(simulator, mount) };
}

Deno.test("createHeadoutSimulator() refuses another key with CAL_1000", async () => {
  const answer = await setUp().read("bookings/", { headers: { "headout-auth": "tk_other" } });
  assert.equal(answer.status, 403);
  assert.equal((await answer.json()).code, "CAL_1000");
});

Deno.test("createHeadoutSimulator() has the documented sample's booking", async () => {
  const booking = await (await setUp().read(`bookings/${sampleBookingId}/`)).json();
  assert.deepEqual([booking.bookingId, booking.status], ["123456789", "COMPLETED"]);
  assert.ok(booking.customersDetails.customers[0].isPrimary);
});

Deno.test("createHeadoutSimulator() caps a page at 20 without a word, and pages to the end", async () => {
  const { read } = setUp();
  const first = await (await read("bookings/?offset=0&limit=100")).json();
  assert.deepEqual([first.items.length, first.nextOffset, first.total], [20, 20, 24]);
  const second = await (await read(first.nextUrl.replace("/api/public/v2/", ""))).json();
  assert.deepEqual([second.items.length, second.nextOffset, second.nextUrl], [4, null, null]);
});

Deno.test("createHeadoutSimulator() takes only an https URL for its webhook", async () => {
  const { read } = setUp();
  const put = (url: string) =>
    read("webhooks/", {
      method: "PUT",
      headers: { "headout-auth": "tk_key" },
      body: JSON.stringify({ url, enabled: true }),
    });
  assert.equal((await put("http://example.com/hook")).status, 400);
  assert.equal((await put(`https://example.com/${"x".repeat(2048)}`)).status, 400);
  assert.equal((await put("https://example.com/hook")).status, 200);
  assert.equal((await (await read("webhooks/")).json()).url, "https://example.com/hook");
});

Deno.test("createHeadoutSimulator() sends an event with the key in the URL and nothing else", async () => {
  const { control, received } = setUp();
  await control.sendWebhook(sampleBookingId, { status: "CANCELLED" });
  assert.equal(
    received[0]?.url,
    "http://127.0.0.1:1/functions/v1/headout-webhook?key=a%20key",
  );
  assert.deepEqual(await received[0]?.json(), {
    bookingId: 123456789,
    status: "CANCELLED",
    eventTimestamp: "2026-05-10T12:00:00",
  });
});

Deno.test("createHeadoutSimulator() tries a 5xx, 408 and 429 again, five times in all", async () => {
  const lost = setUp([500, 408, 429, 503, 500]);
  assert.deepEqual(await lost.control.sendWebhook(sampleBookingId), {
    status: 500,
    body: { success: false },
    attempts: [500, 408, 429, 503, 500],
    lost: true,
  });
  const late = setUp([503, 200]);
  const answer = await late.control.sendWebhook(sampleBookingId) as { attempts?: unknown };
  assert.deepEqual(answer.attempts, [503, 200]);
});

Deno.test("createHeadoutSimulator() never sends again after another 4xx", async () => {
  const { control, received } = setUp([400, 200]);
  await control.sendWebhook(sampleBookingId);
  assert.equal(received.length, 1);
});

Deno.test("createHeadoutSimulator() tells a reschedule as CANCELLED, PENDING, COMPLETED", async () => {
  const { control, received } = setUp();
  await control.request("POST", `/bookings/${sampleBookingId}/reschedule`, {
    startDateTime: "2026-07-01T10:00:00",
  });
  const events = await Promise.all(received.map((request) => request.json()));
  assert.deepEqual(events.map((event) => [event.status, event.eventTimestamp]), [
    ["CANCELLED", "2026-05-10T12:00:00"],
    ["PENDING", "2026-05-10T12:00:01"],
    ["COMPLETED", "2026-05-10T12:00:02"],
  ]);
  assert.equal((await control.get(sampleBookingId)).startDateTime, "2026-07-01T10:00:00");
});

Deno.test("createHeadoutSimulator() shows bookings as of some seconds ago, but sends events at once", async () => {
  const { control, read, received } = setUp();
  await control.create({ bookingId: "5", status: "COMPLETED" });
  clock.now += 60_000;
  await control.lag(10);
  await control.cancel("5");
  await control.delete(sampleBookingId);
  for (const bookingId of ["6", "7"]) await control.create({ bookingId, status: "COMPLETED" });
  await control.sendWebhook("5");
  assert.equal((await received[0]?.json()).status, "CANCELLED");
  const seen = async () => {
    const { total } = await (await read("bookings/")).json();
    const one = await (await read("bookings/5/")).json();
    return [one.status, (await read(`bookings/${sampleBookingId}/`)).status, total];
  };
  assert.deepEqual(await seen(), ["COMPLETED", 200, 25]);
  assert.equal((await read("bookings/6/")).status, 404);
  clock.now += 10_000;
  assert.deepEqual(await seen(), ["CANCELLED", 404, 26]);
  assert.equal((await read("bookings/6/")).status, 200);
  await assert.rejects(control.lag(5, { organization_id: "x" }), / 400 /);
});
