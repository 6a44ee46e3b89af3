import { messageOf } from "./errors.ts";

/** How the ticker calls import-bookings. */
export interface TickerOptions {
  /** The stack's base URL. */
  readonly url: string;
  readonly serviceRoleKey: string;
  /** Pause between two drains, in ms. Default 10 s. */
  readonly drainEvery?: number;
  /** Pause between two incremental runs, in ms; false for none. Default 5 min. */
  readonly incrementalEvery?: number | false;
  /** When reconcile and pruning run, in ms since midnight UTC; false for never. */
  readonly nightlyAt?: number | false;
  /** Keeps the embedded database small, which has no autovacuum. */
  readonly vacuum?: () => Promise<void>;
  /** Pause between two vacuums, in ms. Default 10 min. */
  readonly vacuumEvery?: number;
  readonly now?: () => number;
  readonly log: (line: string) => void;
  readonly fetch?: typeof fetch;
  readonly signal: AbortSignal;
}

/**
 * Replaces pg_cron until the signal: drains the inbox, runs the incremental sync, and at night
 * reconciles and prunes. With `vacuum` it replaces autovacuum too. Calls of one kind never overlap.
 * A mode that the function does not support is not asked for again.
 */
export function startTicker(options: TickerOptions): Promise<void> {
  const { drainEvery = 10_000, incrementalEvery = 300_000, nightlyAt = NIGHTLY_AT } = options;
  const { vacuum, vacuumEvery = 600_000 } = options;
  const now = options.now ?? Date.now;
  const jobs = [
    { pause: () => drainEvery, work: () => tick("drain", options) },
    ...(incrementalEvery === false
      ? []
      : [{ pause: () => incrementalEvery, work: () => tick("incremental", options) }]),
    ...(nightlyAt === false
      ? []
      : [{ pause: () => untilTimeOfDay(nightlyAt, now()), work: () => nightly(options) }]),
    ...(vacuum ? [{ pause: () => vacuumEvery, work: () => sweep(vacuum, options) }] : []),
  ];
  return Promise.all(jobs.map(async ({ pause, work }) => {
    while (await pauseUntil(pause(), options.signal)) {
      if (!await work()) return;
    }
  })).then(() => {});
}

/** 01:15 UTC, like the scheduled job. */
const NIGHTLY_AT = 75 * 60_000;
const DAY = 86_400_000;

/** Milliseconds until the next such time of day (UTC); always more than 0. */
export function untilTimeOfDay(timeOfDay: number, now: number): number {
  return DAY - (now - timeOfDay) % DAY;
}

async function nightly(options: TickerOptions): Promise<boolean> {
  await tick("reconcile", options);
  await call(`${options.url}/rest/v1/rpc/prune_deliveries`, {}, "prune", options);
  return true;
}

async function sweep(vacuum: () => Promise<void>, { log }: TickerOptions): Promise<boolean> {
  await vacuum().catch((error) => log(`vacuum failed: ${messageOf(error)}`));
  return true;
}

/** Calls once; false if the function does not support the mode. A failure is logged, not thrown. */
export function tick(syncMode: string, options: TickerOptions): Promise<boolean> {
  return call(`${options.url}/functions/v1/import-bookings`, { syncMode }, syncMode, options);
}

async function call(
  url: string,
  body: unknown,
  what: string,
  options: TickerOptions,
): Promise<boolean> {
  try {
    const answer = await (options.fetch ?? fetch)(
      url,
      {
        method: "POST",
        headers: {
          authorization: `Bearer ${options.serviceRoleKey}`,
          apikey: options.serviceRoleKey,
          "content-type": "application/json",
        },
        body: JSON.stringify(body),
        signal: options.signal,
      },
    );
    const text = await answer.text();
    if (answer.ok || answer.status === 503) return true;
    if (answer.status === 400 && text.includes("unsupported_sync_mode")) return false;
    options.log(`${what} answered ${answer.status}: ${text.slice(0, 300).trim()}`);
  } catch (error) {
    if (!options.signal.aborted) options.log(`${what} failed: ${messageOf(error)}`);
  }
  return true;
}

/** Waits; false if the signal came first. */
function pauseUntil(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const timer = setTimeout(() => end(true), milliseconds);
    const stop = () => end(false);
    function end(goOn: boolean): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      resolve(goOn);
    }
    signal.addEventListener("abort", stop);
  });
}
