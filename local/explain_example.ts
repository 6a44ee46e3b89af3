/**
 * Takes a simulated booking through hold, release, reschedule and replay, and writes the result of
 * `explain_booking` between the two markers of docs/operations.md:
 * `deno run -A --config local/deno.json local/explain_example.ts`.
 */
import { projectPaths } from "./paths.ts";
import { seedDemo } from "./seed_demo.ts";
import { type Stack, startStack } from "./stack.ts";

const BOOKING = "480015";
const BEGIN = "<!-- written by local/explain_example.ts -->";
const END = "<!-- until here -->";

/** One line of a timeline. */
interface Line {
  readonly at: string;
  readonly what: string;
  readonly summary: string;
}

async function main(): Promise<void> {
  const stack = await startStack({ seed: seedDemo, headout: { count: 0 } });
  try {
    await live(stack);
    const lines = await stack.database.query<Line>(
      `select to_char(at, 'HH24:MI:SS.MS') as at, what, summary
       from explain_booking((select id from public.bookings where external_id = $1))`,
      [BOOKING],
    );
    await writeInto(`${projectPaths().root}/docs/operations.md`, format(lines));
  } finally {
    await stack.stop();
  }
}

/** Confirmed, cancelled against the brake, released, rescheduled, and replayed by hand. */
async function live(stack: Stack): Promise<void> {
  const { database, headout } = stack;
  await headout.create({
    bookingId: BOOKING,
    status: "COMPLETED",
    startDateTime: "2027-06-20T10:00:00",
    partnerReferenceId: "HO-480015",
  });
  const send = (status: string, second: number) =>
    headout.sendWebhook(BOOKING, { status, eventTimestamp: `2027-01-15T10:30:0${second}` });
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

async function writeInto(file: string, text: string): Promise<void> {
  const before = await Deno.readTextFile(file);
  const [head, rest = ""] = before.split(BEGIN);
  const [, tail = ""] = rest.split(END);
  if (rest === "") throw new Error(`Cannot write into ${file}: it has no ${BEGIN}`);
  await Deno.writeTextFile(file, `${head}${BEGIN}\n\n\`\`\`text\n${text}\n\`\`\`\n\n${END}${tail}`);
}

await main();
