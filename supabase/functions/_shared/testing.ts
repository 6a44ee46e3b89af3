/** Builders and fakes of our own ports for unit tests; nothing deployed imports this file. */
import type { ImportAnswer, Importer, ImportTask } from "./inbox/importer.ts";
import type {
  AppliedHeadoutEvent,
  DeliveryEnd,
  FinishedDelivery,
  HeadoutEvent,
  Inbox,
  NewDelivery,
  ReceivedDelivery,
} from "./inbox/inbox.ts";
import type { Log, LogProperties } from "./log.ts";

/** The time in tests, in milliseconds since the epoch. */
export const NOW = Date.parse("2026-08-04T17:11:00.000Z");
export const ORGANIZATION = "0a1b2c3d-0000-4000-8000-000000000001";
export const OTHER_ORGANIZATION = "0a1b2c3d-0000-4000-8000-000000000002";
export const DELIVERY = "de11be17-0000-4000-8000-000000000001";
export const LEASE = "1ea5e000-0000-4000-8000-000000000001";
export const SECRET = "correct-horse-battery-staple-32-characters";

/** One captured log line. */
export interface LogLine extends LogProperties {
  readonly level: keyof Log;
  readonly message: string;
}

/** A log that collects its lines. */
export function captureLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: keyof Log) => (message: string, properties: LogProperties = {}): void => {
    lines.push({ ...properties, level, message });
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), lines };
}

/** A received delivery that is claimed unless told otherwise. */
export function received(changes: Partial<ReceivedDelivery> = {}): ReceivedDelivery {
  return {
    deliveryId: DELIVERY,
    outcome: "claimed",
    organizationId: ORGANIZATION,
    leaseToken: LEASE,
    reason: null,
    nextAttemptAt: null,
    duplicateOf: null,
    status: "processing",
    result: null,
    lastError: null,
    ...changes,
  };
}

/** A Headout event that has been applied unless told otherwise. */
export function applied(changes: Partial<AppliedHeadoutEvent> = {}): AppliedHeadoutEvent {
  return {
    deliveryId: DELIVERY,
    outcome: "applied",
    organizationId: ORGANIZATION,
    oldStatus: "PENDING",
    newStatus: "CONFIRMED",
    processedAt: "2026-08-04T17:11:00.000Z",
    leaseToken: LEASE,
    ...changes,
  };
}

/** A delivery that was given back unless told otherwise. */
export function finished(changes: Partial<FinishedDelivery> = {}): FinishedDelivery {
  return {
    deliveryId: DELIVERY,
    finished: true,
    status: "pending",
    attempts: 1,
    nextAttemptAt: "2026-08-04T17:11:10.000Z",
    result: null,
    ...changes,
  };
}

/** How a {@linkcode fakeInbox} answers; each default is the good case. */
export interface FakeInboxAnswers {
  readonly receive?: (delivery: NewDelivery) => ReceivedDelivery | Promise<ReceivedDelivery>;
  readonly apply?: (
    event: HeadoutEvent,
  ) => AppliedHeadoutEvent | undefined | Promise<AppliedHeadoutEvent | undefined>;
  readonly finish?: (end: DeliveryEnd) => FinishedDelivery | Promise<FinishedDelivery>;
}

/** An inbox that records its calls; by default an invalid delivery is answered `invalid`. */
export function fakeInbox(answers: FakeInboxAnswers = {}) {
  const deliveries: NewDelivery[] = [];
  const events: HeadoutEvent[] = [];
  const ends: DeliveryEnd[] = [];
  const receive = answers.receive ??
    ((delivery: NewDelivery) =>
      delivery.status === "invalid"
        ? received({ outcome: "invalid", status: "invalid", leaseToken: null })
        : received());
  const inbox: Inbox = {
    async receiveDelivery(delivery) {
      deliveries.push(delivery);
      return await receive(delivery);
    },
    async applyHeadoutEvent(event) {
      events.push(event);
      return await (answers.apply ? answers.apply(event) : applied());
    },
    async finishDelivery(end) {
      ends.push(end);
      return await (answers.finish ? answers.finish(end) : finished());
    },
  };
  return { ...inbox, deliveries, events, ends };
}

/** An importer that records its tasks and answers `updated` unless told otherwise. */
export function fakeImporter(
  answer: (task: ImportTask, signal: AbortSignal) => Promise<ImportAnswer> = () =>
    Promise.resolve({ success: true, outcome: "updated", changes: {} }),
) {
  const tasks: ImportTask[] = [];
  const drains: number[] = [];
  const importer: Importer = {
    drain: () => Promise.resolve(void drains.push(Date.now())),
    importBooking(task, signal) {
      tasks.push(task);
      return answer(task, signal);
    },
  };
  return { ...importer, tasks, drains };
}

/**
 * Runs `work`, which may set the wall clock forward or back by milliseconds, as an operator or NTP
 * does. The monotonic clock is not affected.
 */
export async function withWallClock(
  work: (step: (ms: number) => void) => Promise<void>,
): Promise<void> {
  const real = Date.now;
  let offset = 0;
  Date.now = () => real() + offset;
  try {
    await work((ms) => void (offset += ms));
  } finally {
    Date.now = real;
  }
}

/** A promise that never settles. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => {});
}

/** Rejects with the signal's reason once it is aborted, like a fetch that hangs. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

/** A `POST`; an object is sent as JSON, a header that is null is left out. */
export function post(
  body: unknown,
  options: {
    readonly headers?: Readonly<Record<string, string | null>>;
    readonly url?: string;
    readonly method?: string;
  } = {},
): Request {
  const raw = typeof body === "string" || body instanceof Uint8Array ||
    body instanceof ReadableStream;
  const headers = Object.entries({ "content-type": "application/json", ...options.headers })
    .filter((header): header is [string, string] => header[1] !== null);
  return new Request(options.url ?? "https://functions.test/", {
    method: options.method ?? "POST",
    headers,
    ...(body === undefined ? {} : { body: raw ? body as BodyInit : JSON.stringify(body) }),
  });
}

/** A megabyte in small chunks, without a content length. */
export function megabyte(): ReadableStream<Uint8Array> & { pulled: () => number } {
  let chunks = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (chunks === 64) return controller.close();
      chunks += 1;
      controller.enqueue(new Uint8Array(16_384).fill(0x20));
    },
  });
  return Object.assign(stream, { pulled: () => chunks });
}

/** A body that sends one byte and then nothing more, like a slow stranger. */
export function stalled(): ReadableStream<Uint8Array> & {
  readonly pulled: () => number;
  readonly cancelled: () => boolean;
} {
  let pulls = 0;
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulls += 1;
      return pulls === 1 ? controller.enqueue(new Uint8Array([0x7b])) : never();
    },
    cancel() {
      cancelled = true;
    },
  }, { highWaterMark: 0 });
  return Object.assign(stream, { pulled: () => pulls, cancelled: () => cancelled });
}

/** The parts of an answer that tests look at. */
// deno-lint-ignore no-explicit-any
export async function read(response: Response): Promise<{ status: number; body: any }> {
  return { status: response.status, body: await response.json() };
}
