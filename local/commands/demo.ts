import { checkRows, compare, type Expectation } from "../demo/expectations.ts";
import { showTables } from "../demo/tables.ts";
import { demoOrganizationId, seedDemo } from "../seed_demo.ts";
import { seedId } from "../simulators/eventflow/seed.ts";
import { sampleBookingId, sampleEvent } from "../simulators/headout/seed.ts";
import { type Stack, startStack } from "../stack.ts";

/** `demo`: sends a webhook of each source to a fresh stack, shows the rows and checks them. */
export async function run(): Promise<number> {
  const stack = await startStack({ seed: seedDemo });
  try {
    const expectations = await act(stack);
    console.log(`\n${await showTables(stack.database, demoOrganizationId)}\n`);
    const all = [
      ...expectations,
      ...await checkRows(stack.database, {
        organizationId: demoOrganizationId,
        eventflow: await stack.eventflow.get(seedId(0)),
        headoutId: sampleBookingId,
      }),
    ];
    for (const each of all) {
      console.log(`${each.holds ? "ok  " : "FAIL"}  ${each.text}`);
      if (each.found !== undefined) console.log(`      ${each.found}`);
    }
    const failed = all.filter((each) => !each.holds).length;
    if (failed > 0) console.log(`\nOutput of the functions:\n${stack.output().join("\n")}`);
    console.log(
      `\n${failed === 0 ? "all as expected" : `${failed} not as expected`}, ` +
        `${(performance.now() / 1000).toFixed(1)} s`,
    );
    return failed === 0 ? 0 : 1;
  } finally {
    await stack.stop();
  }
}

/** Sends the webhooks, prints the answers, and waits for what happens after them. */
async function act(stack: Stack): Promise<readonly Expectation[]> {
  const webhook = { organization_id: demoOrganizationId, event_type: "updated" };
  console.log(`EventFlow says: booking ${seedId(0)} was updated`);
  const first = await stack.eventflow.sendWebhook(seedId(0), webhook);
  console.log(show(first));

  console.log(`\nHeadout says: ${sampleEvent}`);
  const event = await postHeadout(stack);
  console.log(show(event));
  await untilFetched(stack);

  console.log("\nBoth send it again");
  const again = await stack.eventflow.sendWebhook(seedId(0), webhook);
  console.log(show(again));
  const repeated = await postHeadout(stack);
  console.log(show(repeated));

  return [
    compare("the EventFlow webhook created the booking", outcomeOf(first), [200, "created"]),
    compare("the same webhook again changed nothing", outcomeOf(again), [200, "unchanged"]),
    compare("Headout's documented event got the documented answer", pick(event.body), {
      success: true,
      bookingId: "123456789",
      oldStatus: null,
      newStatus: "CONFIRMED",
      headoutStatus: "COMPLETED",
    }),
    compare("the same event again got the same answer", pick(repeated.body), pick(event.body)),
    compare("and was recognised as a duplicate", field(repeated.body, "outcome"), "duplicate"),
  ];
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Headout's sample, word for word, to the URL that one configures at Headout. */
async function postHeadout(stack: Stack): Promise<Answer> {
  const key = encodeURIComponent(stack.keys.headoutWebhookKey);
  const answer = await fetch(`${stack.url}/functions/v1/headout-webhook?key=${key}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: sampleEvent,
  });
  return { status: answer.status, body: await answer.json() };
}

/** Waits at most 10 s for the fetch that follows the answer. */
async function untilFetched(stack: Stack): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    const rows = await stack.database.query(
      `select from public.bookings where source = 'headout' and not is_stub`,
    );
    if (rows.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function outcomeOf(answer: Answer): readonly unknown[] {
  return [answer.status, field(field(answer.body, "sync"), "outcome")];
}

function pick(body: unknown): unknown {
  const names = ["success", "bookingId", "oldStatus", "newStatus", "headoutStatus"];
  return Object.fromEntries(names.map((name) => [name, field(body, name)]));
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function show(answer: Answer): string {
  return `  ${answer.status} ${JSON.stringify(answer.body)}`;
}
