import { monotonicNow, type Sleep, sleepFor } from "../clock.ts";
import type { Importer } from "./importer.ts";

/** What {@linkcode createDrainKick} works with; all times in milliseconds. */
export interface DrainKickOptions {
  readonly importer: Pick<Importer, "drain">;
  /** Keeps the worker alive for the call, which goes on after the response. */
  readonly background: { readonly run: (task: () => Promise<void>) => void };
  /** Default `monotonicNow`. */
  readonly now?: () => number;
  readonly sleep?: Sleep;
  /** How long nothing must have been deferred. Default 2 s. */
  readonly quietMs?: number;
  /** How long a burst can put it off. Default 15 s. */
  readonly longestMs?: number;
}

/**
 * Has what was stored without being imported (its booking was busy, or there was a burst) drained as
 * soon as it has become quiet, instead of at the next minute. One call at a time: for whatever is
 * deferred while it lasts, which may be too late for it, one more follows. It is a shortcut only, and
 * a failure is left to the scheduled drain.
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
