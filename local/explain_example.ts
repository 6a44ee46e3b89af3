/**
 * Takes simulated bookings through what can happen to one, and writes the result of
 * `explain_booking` between the markers of docs/operations.md:
 * `deno run -A --config local/deno.json local/explain_example.ts`.
 */
import { projectPaths } from "./paths.ts";
import { demoOrganizationId, seedDemo } from "./seed_demo.ts";
import { type Stack, startStack } from "./stack.ts";

const BOOKING = "480015";
const END = "<!-- until here -->";

/** What happens to a booking, and which part of the page its timeline is written to. */
interface Story {
  readonly name: string;
  /** Lets it happen; returns the booking's id at its source. */
  live(stack: Stack): Promise<string>;
}

const stories: readonly Story[] = [
  { name: "hold and replay", live: holdAndReplay },
  { name: "moved event", live: moveEvent },
];

/** One line of a timeline. */
interface Line {
  readonly at: string;
  readonly what: string;
  readonly summary: string;
}

async function main(): Promise<void> {
  const stack = await startStack({ seed: seedDemo, headout: { count: 0 } });
  try {
    for (const { name, live } of stories) {
      const lines = await stack.database.query<Line>(
        `select to_char(at, 'HH24:MI:SS.MS') as at, what, summary
         from explain_booking((select id from public.bookings where external_id = $1))`,
        [await live(stack)],
      );
      await writeInto(`${projectPaths().root}/docs/operations.md`, name, format(lines));
    }
  } finally {
    await stack.stop();
  }
}

/** Confirmed, cancelled against the brake, released, rescheduled, and replayed by hand. */
async function holdAndReplay(stack: Stack): Promise<string> {
  const { database, headout } = stack;
  await headout.create({
    bookingId: BOOKING,
    status: "COMPLETED",
    startDateTime: "2027-06-20T10:00:00",
    partnerReferenceId: "HO-480015",
  });
  const send = (status: string, second: number) =>
    headout.sendWebhook(BOOKING, { status, eventTimestamp: `2026-01-15T10:30:0${second}` });
  await send("COMPLETED", 0);
  await untilDone(stack);

  await database.exec("update sync.connections set cancel_budget = 0 where source = 'headout'");
  await headout.cancel(BOOKING);
  await send("CANCELLED", 1);
  await database.query(
    `select * from release_held_changes(array(select id from sync.held_changes), by => 'anna')`,
  );
  await untilDone(stack);

  await headout.patch(BOOKING, { startDateTime: "2027-06-27T19:00:00", status: "PENDING" });
  await send("PENDING", 2);
  await untilDone(stack);
  await headout.patch(BOOKING, { status: "COMPLETED" });
  await send("COMPLETED", 3);
  await untilDone(stack);

  await database.query(
    `select * from replay_deliveries(
       delivery_ids => array(select id from sync.deliveries where external_id = $1
         and event_type = 'COMPLETED' order by received_at desc limit 1),
       count_only => false)`,
    [BOOKING],
  );
  await untilDone(stack);
  return BOOKING;
}

/** Moved from three days in December to one, and a product taken back, with no flag and one webhook. */
async function moveEvent(stack: Stack): Promise<string> {
  const { database, eventflow } = stack;
  await database.exec("update sync.connections set absence_confirm_after = '3 seconds'");
  const { id } = await eventflow.create<{ readonly id: string }>({
    organization_id: demoOrganizationId,
    title: "Julmarknad",
    status: "Bekräftad",
    event_dates: ["2027-12-02", "2027-12-03", "2027-12-04"],
    products: [
      { id: "tent", name: "Tält 6x9", quantity: 2 },
      { id: "chair", name: "Stol", quantity: 40 },
    ],
  });
  const webhook = { organization_id: demoOrganizationId, event_type: "updated" };
  await eventflow.sendWebhook(id, webhook);
  await untilDone(stack);
  await eventflow.patch(id, {
    event_dates: ["2027-12-10"],
    products: [{ id: "tent", name: "Tält 6x9", quantity: 2 }],
  });
  await eventflow.sendWebhook(id, webhook);
  await untilDone(stack);
  return id;
}

/** Drains until no delivery is open. */
async function untilDone(stack: Stack): Promise<void> {
  for (;;) {
    await fetch(`${stack.url}/functions/v1/import-bookings`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${stack.serviceRoleKey}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ syncMode: "drain" }),
    }).then((answer) => answer.body?.cancel());
    const open = await stack.database.query(
      "select from sync.deliveries where status in ('pending', 'processing')",
    );
    if (open.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function format(lines: readonly Line[]): string {
  const widest = Math.max(...lines.map(({ what }) => what.length));
  return lines.map(({ at, what, summary }) => `${at}  ${what.padEnd(widest)}  ${summary}`).join(
    "\n",
  );
}

async function writeInto(file: string, story: string, text: string): Promise<void> {
  const begin = `<!-- written by local/explain_example.ts: ${story} -->`;
  const before = await Deno.readTextFile(file);
  const from = before.indexOf(begin);
  const to = before.indexOf(END, from);
  if (from < 0 || to < 0) throw new Error(`Cannot write into ${file}: it has no ${begin}`);
  const block = `${begin}\n\n\`\`\`text\n${text}\n\`\`\`\n\n`;
  await Deno.writeTextFile(file, before.slice(0, from) + block + before.slice(to));
}

await main();
