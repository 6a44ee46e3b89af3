import { addDays } from "../random.ts";
import type { EventflowBooking } from "./booking.ts";

/** The keys under which EventFlow has the days of a phase; the first one is a list. */
const dayKeys = {
  rig: ["rig_up_dates", "rigdaydate", "rig_up_date", "rig_date", "rig_dates"],
  event: ["event_dates", "eventdate", "event_date"],
  rigdown: ["rig_down_dates", "rigdowndate", "rig_down_date"],
} as const;
const fileKeys = ["attachments", "files_metadata", "tent_images"] as const;

/** A phase of a booking. */
export type Phase = keyof typeof dayKeys;
/** The days of one phase, the products, or the files of a booking. */
export type Collection = Phase | "products" | "files";

/** All phases, in the order of time. */
export const phases: readonly Phase[] = ["rig", "event", "rigdown"];

/** The phase of that name; throws a `TypeError` for another name. */
export function readPhase(name: unknown): Phase {
  const phase = phases.find((each) => each === name);
  if (phase === undefined) throw new TypeError(`Cannot find the phase: it is ${phases.join(", ")}`);
  return phase;
}

/** The collection of that name; throws a `TypeError` for another name. */
export function readCollection(name: unknown): Collection {
  return name === "products" || name === "files" ? name : readPhase(name);
}

/** The days of a phase under all of its keys, sorted, each once. */
export function daysOf(booking: EventflowBooking, phase: Phase): readonly string[] {
  const values = dayKeys[phase].flatMap((key) => booking[key]);
  const days = values.filter((value) => typeof value === "string").map((day) => day.slice(0, 10));
  return [...new Set(days)].sort();
}

/** The booking with one day of a phase and no other. */
export function onlyDay(booking: EventflowBooking, phase: Phase, only: string): EventflowBooking {
  return changeDays(booking, phase, (day) => day === only ? day : undefined);
}

/** The booking without one day of a phase; throws a `TypeError` if it has no such day. */
export function withoutDay(
  booking: EventflowBooking,
  phase: Phase,
  dropped = daysOf(booking, phase).at(-1),
): EventflowBooking {
  if (dropped === undefined || !daysOf(booking, phase).includes(dropped)) {
    throw new TypeError(`Cannot remove a day: ${phase} has no day ${dropped ?? "at all"}`);
  }
  return changeDays(booking, phase, (day) => day === dropped ? undefined : day);
}

/** The booking with the days of phases that many days later. */
export function movedDays(
  booking: EventflowBooking,
  moved: readonly Phase[],
  count: number,
): EventflowBooking {
  return moved.reduce(
    (before, phase) => changeDays(before, phase, (day) => addDays(day, count)),
    booking,
  );
}

/** The booking without a product row, by its id; throws a `TypeError` if there is none. */
export function withoutProduct(booking: EventflowBooking, id: string): EventflowBooking {
  const products = rows(booking.products);
  const rest = products.filter((row) =>
    String(row["id"] ?? row["product_id"] ?? row["productId"]) !== id
  );
  if (rest.length === products.length) {
    throw new TypeError(`Cannot remove a product: there is no ${id}`);
  }
  return { ...booking, products: rest };
}

/** The booking without a file, by its URL without query or its name; throws if there is none. */
export function withoutFile(booking: EventflowBooking, file: string): EventflowBooking {
  const changed: Record<string, unknown> = {};
  for (const key of fileKeys) {
    if (!Array.isArray(booking[key])) continue;
    const files = rows(booking[key]);
    const rest = files.filter((row) =>
      !["public_url", "url", "file_url", "file_name", "name"].some((name) =>
        String(row[name]).split("?")[0] === file
      )
    );
    if (rest.length < files.length) changed[key] = rest;
  }
  if (Object.keys(changed).length === 0) {
    throw new TypeError(`Cannot remove a file: there is no ${file}`);
  }
  return { ...booking, ...changed };
}

/** The booking with an empty list, `[]`, in the place of a collection. */
export function emptied(booking: EventflowBooking, collection: Collection): EventflowBooking {
  if (collection === "products") return { ...booking, products: [] };
  if (collection !== "files") {
    const none = changeDays(booking, collection, () => undefined);
    return { ...none, [dayKeys[collection][0]]: [] };
  }
  const sent = fileKeys.filter((key) => Array.isArray(booking[key]));
  const keys = sent.length === 0 ? [fileKeys[0]] : sent;
  return { ...booking, ...Object.fromEntries(keys.map((key) => [key, []])) };
}

/** Changes the days under every key of a phase; an undefined one leaves its list, or is null. */
function changeDays(
  booking: EventflowBooking,
  phase: Phase,
  change: (day: string) => string | undefined,
): EventflowBooking {
  const changed: Record<string, unknown> = {};
  const one = (value: unknown): unknown => {
    if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}/.test(value)) return value;
    const day = change(value.slice(0, 10));
    return day === undefined ? undefined : day + value.slice(10);
  };
  for (const key of dayKeys[phase]) {
    const value = booking[key];
    if (Array.isArray(value)) changed[key] = value.map(one).filter((day) => day !== undefined);
    else if (value !== undefined) changed[key] = one(value) ?? null;
  }
  return { ...booking, ...changed };
}

function rows(list: unknown): readonly Record<string, unknown>[] {
  return Array.isArray(list) ? list.map((row) => Object(row)) : [];
}
