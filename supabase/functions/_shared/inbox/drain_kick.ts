import { monotonicNow, type Sleep, sleepFor } from "../clock.ts";
import type { Importer } from "./importer.ts";

/** What {@linkcode createDrainKick} works with; all times in milliseconds. */
export interface DrainKickOptions {
  readonly importer: Pick<Importer, "drain">;
  /** Keeps the worker alive for the call, which continues after the response. */
  readonly background: { readonly run: (task: () => Promise<void>) => void };
  /** Default `monotonicNow`. */
  readonly now?: () => number;
  readonly sleep?: Sleep;
  /** How long it must be quiet: nothing deferred. Default 2 s. */
  readonly quietMs?: number;
  /** How long a burst can delay the call. Default 15 s. */
  readonly longestMs?: number;
}

/**
 * Makes a function that calls drain once it is quiet, for deliveries that were stored but not
 * imported: their booking was busy, or there was a burst. Without it they wait for the next minute.
 * Calls do not overlap: if something is deferred during one, another follows. It is only a
 * shortcut; if it fails, the scheduled drain does the work.
 */
export function createDrainKick(options: DrainKickOptions): () => void {
  const { importer, background, now = monotonicNow, sleep = sleepFor } = options;
  const { quietMs = 2_000, longestMs = 15_000 } = options;
  let busy = false;
  let kicked = false;
  let last = 0;

  async function untilQuiet(): Promise<void> {
    const latest = now() + longestMs;
    for (;;) {
      const left = Math.min(last + quietMs, latest) - now();
      if (left <= 0) return;
      await sleep(left);
    }
  }

  return () => {
    last = now();
    kicked = true;
    if (busy) return;
    busy = true;
    background.run(async () => {
      try {
        while (kicked) {
          await untilQuiet();
          kicked = false;
          await importer.drain();
        }
      } finally {
        busy = false;
      }
    });
  };
}
