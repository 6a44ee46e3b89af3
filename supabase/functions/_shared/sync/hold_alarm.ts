import type { BookingSourceName } from "../booking/status.ts";
import type { Log } from "../log.ts";
import { monotonicNow } from "../clock.ts";
import type { BookingStore } from "./booking_store.ts";

/** Changes that the brake stopped. */
export interface Hold {
  readonly organizationId: string;
  readonly source: BookingSourceName;
  readonly bookings: number;
}

/** Logs at error level that the brake holds changes, so that an operator releases or drops them. */
export type HoldAlarm = (hold: Hold) => void;

/** Settings of an alarm. */
export interface HoldAlarmOptions {
  readonly log: Log;
  /** Milliseconds. Default `monotonicNow`. */
  readonly now?: () => number;
  /** Milliseconds between two lines about one connection. Default one minute. */
  readonly quietMs?: number;
}

/**
 * Makes an alarm that logs one line per connection and minute, since a mass cancellation is one
 * event. The next line counts what was held in between; `sync_status()` has the total.
 */
export function createHoldAlarm(options: HoldAlarmOptions): HoldAlarm {
  const { log, now = monotonicNow, quietMs = 60_000 } = options;
  const connections = new Map<string, { quietUntil: number; unsaid: number }>();
  return ({ organizationId, source, bookings }) => {
    const key = `${organizationId} ${source}`;
    const before = connections.get(key) ?? { quietUntil: -Infinity, unsaid: 0 };
    const held = before.unsaid + bookings;
    if (now() < before.quietUntil) {
      connections.set(key, { ...before, unsaid: held });
      return;
    }
    connections.set(key, { quietUntil: now() + quietMs, unsaid: 0 });
    log.error("the brake holds changes", { organization_id: organizationId, source, held });
  };
}

/** The store, with an alarm when a call holds anything. */
export function withHoldAlarm(bookings: BookingStore, alarm: HoldAlarm): BookingStore {
  return {
    async applySnapshots(batch, options) {
      const verdicts = await bookings.applySnapshots(batch, options);
      const held = verdicts.filter(({ verdict }) => verdict === "held").length;
      if (held > 0 && !batch.dryRun) {
        const { organizationId, source } = batch;
        alarm({ organizationId, source, bookings: held });
      }
      return verdicts;
    },
  };
}
