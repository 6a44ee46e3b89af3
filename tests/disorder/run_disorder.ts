import { vacuum } from "../../local/database/vacuum.ts";
import { createRandom, type Random } from "../../local/simulators/random.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { changeEventflow } from "./change_eventflow.ts";
import { changeHeadout } from "./change_headout.ts";
import { createLedger, findDoubles, findLost } from "./ledger.ts";
import { blurAReading, clearBlurs, loseItsWay, spoilARead, type Tally } from "./misfortune.ts";
import { settleDeliveries, settleTheRest } from "./settle.ts";
import { overtake } from "./overtake.ts";
import { createPace } from "./pace.ts";
import { findWrongRows, type WrongRow } from "./truth.ts";
import { createWorld, type World, type WorldBooking } from "./world.ts";

/** What a disorder run did and found. */
export interface DisorderReport {
  readonly seed: number;
  readonly database: string;
  readonly events: number;
  readonly histories: number;
  readonly webhooks: { readonly sent: number; readonly refused: number };
  readonly misfortunes: Tally;
  readonly seconds: number;
  readonly wrong: readonly WrongRow[];
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
}

/** How a run is chosen. */
export interface DisorderOptions {
  readonly seed: number;
  readonly events: number;
  /** Told what is going on, so that an hour is not spent in silence. */
  readonly onProgress?: (text: string) => void;
}

/** Events between two lines of progress. */
const PROGRESS = 5_000;

/** Webhooks under way at once; more than receive-booking imports at once. */
const AT_ONCE = 20;

/**
 * Random histories of bookings in both simulators, with every webhook and every read at risk and
 * functions killed in between; at the end every row is held against its source. The same seed makes
 * the same histories and the same misfortunes, though not the same interleaving.
 */
export async function runDisorder(
  { seed, events, onProgress = () => {} }: DisorderOptions,
): Promise<DisorderReport> {
  const began = performance.now();
  const tell = (what: string): void =>
    onProgress(`seed ${seed}, ${((performance.now() - began) / 1000).toFixed(0)} s: ${what}`);
  const stack = await startTestStack({
    eventflow: { count: 0 },
    headout: { count: 0, retryScale: 0.02 },
    environment: {
      HEADOUT_REQUESTS_PER_MINUTE: "60000",
      SYNC_BUDGET_MS: "5000",
      LOG_LEVEL: "error",
    },
  });
  try {
    const random = createRandom(seed, 0);
    const world = await createWorld(stack, random, events);
    const misfortunes: Tally = {};
    const ledger = createLedger(stack, world);
    const underWay = new Set<Promise<unknown>>();
    const pace = createPace(stack, random, events, misfortunes);
    for (let event = 1; event <= events; event++) {
      const booking = random.pick(world.bookings);
      const send = booking.state === "present" && booking.source === "eventflow" &&
          random.chance(0.02)
        ? () => overtake(stack, booking, createRandom(seed, event), misfortunes)
        : await happen(stack, world, booking, random, misfortunes);
      if (send !== undefined) {
        const sending: Promise<unknown> = send().finally(() => underWay.delete(sending));
        underWay.add(sending);
      }
      while (underWay.size >= AT_ONCE) await Promise.race(underWay);
      pace(event);
      // What arrives during a death is refused; for longer than that it would be a test of nothing.
      if (event % 10 === 0) await untilReady(stack);
      if (event % 1_000 === 0) await ledger.collect();
      if (event % PROGRESS === 0) {
        await vacuum(stack.database);
        tell(`${event} of ${events} events`);
      }
    }
    await Promise.all(underWay);
    await clearBlurs(stack.eventflow, world.bookings);
    tell("all has happened; draining");
    await settleDeliveries(stack, misfortunes);
    await ledger.collect();
    // What we were told of must be right by the deliveries alone, before anything else is read.
    const wrongByDeliveries = await findWrongRows(stack, world, isRightByNow);
    tell("compared what was told of; reconciling");
    await settleTheRest(stack, world, misfortunes);
    const wrongByReconcile = await findWrongRows(stack, world, isSeenByOneReconcile);
    // A booking that is gone without a word is believed to be when two lists have not had it.
    await settleTheRest(stack, world, misfortunes);
    return {
      seed,
      database: stack.database.kind,
      events,
      histories: born(world),
      webhooks: ledger.totals(),
      misfortunes,
      wrong: [...wrongByDeliveries, ...wrongByReconcile, ...await findWrongRows(stack, world)],
      lost: await findLost(stack.database, ledger.accepted()),
      doubled: await findDoubles(stack.database),
      seconds: (performance.now() - began) / 1000,
    };
  } finally {
    await stack.stop();
  }
}

/** One change at a source; returns how to send its webhook. */
async function happen(
  stack: TestStack,
  world: World,
  booking: WorldBooking,
  random: Random,
  tally: Tally,
): Promise<(() => Promise<unknown>) | undefined> {
  const simulator = stack[booking.source];
  let webhook: Record<string, unknown> | undefined;
  if (booking.source === "eventflow") {
    const event_type = await changeEventflow(simulator, booking, random);
    webhook = { organization_id: booking.organizationId, event_type };
  } else webhook = { ...await changeHeadout(simulator, booking, random) };
  if (webhook["status"] === undefined && booking.source === "headout") return undefined;
  booking.changedAt = Date.now();
  await loseItsWay(simulator, booking, random, tally);
  await spoilARead(simulator, booking, random, tally);
  if (booking.source === "eventflow" && booking.state === "present") {
    const flagged = world.organizations.some(({ id, flagged }) =>
      flagged && id === booking.organizationId
    );
    await blurAReading(simulator, booking, flagged, random, tally);
  }
  const sent = webhook;
  return () => simulator.sendWebhook(booking.id, sent);
}

/**
 * A webhook was accepted after its last change, neither the brake nor the source was in the way, and
 * every read showed what there was.
 */
function isRightByNow(booking: WorldBooking): boolean {
  return booking.toldAt > booking.changedAt && !booking.denied && !booking.braked &&
    !booking.blurred;
}

async function untilReady(stack: TestStack): Promise<void> {
  while (stack.functions.all.some((each) => !each.ready())) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Everything but a deletion that nobody told us of (rule: absence is not a statement). */
function isSeenByOneReconcile(booking: WorldBooking): boolean {
  return booking.state !== "deleted" || booking.toldAt > booking.changedAt;
}

function born(world: World): number {
  return world.bookings.filter(({ state }) => state !== "unborn").length;
}
