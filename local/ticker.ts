import { messageOf } from "./errors.ts";

/** How the ticker calls import-bookings. */
export interface TickerOptions {
  /** The stack's base URL. */
  readonly url: string;
  readonly serviceRoleKey: string;
  /** Pause between two drains, in ms. */
  readonly drainEvery?: number;
  /** Pause between two incremental runs, in ms; false for none. */
  readonly incrementalEvery?: number | false;
  readonly log: (line: string) => void;
  readonly fetch?: typeof fetch;
  readonly signal: AbortSignal;
}

/**
 * Stands in for pg_cron: drains the inbox and runs the incremental sync at their pace until the
 * signal. One call at a time. A mode that the function does not have yet is not asked for again.
 */
export function startTicker(options: TickerOptions): Promise<void> {
  const { drainEvery = 10_000, incrementalEvery = 300_000 } = options;
  const jobs = [
    { syncMode: "drain", every: drainEvery },
    ...(incrementalEvery === false ? [] : [{ syncMode: "incremental", every: incrementalEvery }]),
  ];
  return Promise.all(jobs.map(async ({ syncMode, every }) => {
    while (await pauseUntil(every, options.signal)) {
      if (!await tick(syncMode, options)) return;
    }
  })).then(() => {});
}

/** Calls once; false when the function does not know the mode. Failures are said and survived. */
export async function tick(syncMode: string, options: TickerOptions): Promise<boolean> {
  try {
    const answer = await (options.fetch ?? fetch)(
      `${options.url}/functions/v1/import-bookings`,
      {
        method: "POST",
        headers: {
          authorization: `Bearer ${options.serviceRoleKey}`,
          apikey: options.serviceRoleKey,
          "content-type": "application/json",
        },
        body: JSON.stringify({ syncMode }),
        signal: options.signal,
      },
    );
    const text = await answer.text();
    if (answer.ok || answer.status === 503) return true;
    if (answer.status === 400 && text.includes("unsupported_sync_mode")) return false;
    options.log(`${syncMode} answered ${answer.status}: ${text.slice(0, 300).trim()}`);
  } catch (error) {
    if (!options.signal.aborted) options.log(`${syncMode} failed: ${messageOf(error)}`);
  }
  return true;
}

/** Waits; false when the signal came first. */
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
