import fc from "fast-check";
import type { Snapshot } from "../../supabase/functions/_shared/booking/snapshot.ts";
import { BOOKING_STATUSES } from "../../supabase/functions/_shared/booking/status.ts";
import { addDays, buildPartialSnapshot, RIG_DAY, type SnapshotFields } from "./booking_builder.ts";
import { fullScale } from "./scale.ts";

/** What a source says at one moment, without the booking's id and the moment of reading. */
export type Statement = Pick<
  SnapshotFields,
  "booking" | "dates" | "products" | "attachments" | "source_version" | "deleted"
>;

/** What a planner does to one booking at one moment. */
export interface PlannerEdit {
  readonly edit:
    | "note"
    | "team"
    | "times"
    | "lock"
    | "warehouse"
    | "task"
    | "pack"
    | "manual"
    | "attach"
    | "start";
  /** Which of the rows that there are, and what value; both small. */
  readonly pick: number;
  readonly value: number;
}

/** One step of a sequence: the source says something, or a planner does something. */
export type Step = { readonly says: Statement } | PlannerEdit;

const short = fc.constantFrom("", "a", "Åsa & Co", "x".repeat(40));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
const time = fc.constantFrom("06:00:00", "08:00:00", "12:30:00", "23:00:00");
const day = fc.integer({ min: 0, max: 5 }).map((offset) => addDays(RIG_DAY, offset));

const fields = {
  status: fc.constantFrom(...BOOKING_STATUSES, "CONFIRMED", "CONFIRMED", "CONFIRMED"),
  title: maybe(short),
  client_name: maybe(short),
  booking_number: maybe(short),
  source_notes: maybe(short),
  delivery_address: maybe(short),
  latitude: maybe(fc.constantFrom(55.6, 59.1)),
  exact_time_needed: maybe(fc.boolean()),
  rental_only: fc.boolean(),
  price_amount: maybe(fc.constantFrom(0, 10.5, 1e9)),
  economics: maybe(fc.constantFrom({}, { total: 5 }, { total: 6, of: [1, null] })),
  extra: fc.constantFrom({}, { campaign: "vår" }),
};

const dateItem = fc.record({
  phase: fc.constantFrom("rig" as const, "event" as const, "rigdown" as const),
  day,
  start_time: maybe(time),
  end_time: maybe(time),
}, { requiredKeys: ["phase", "day"] });

const keys = ["a", "b", "c", "d"] as const;
const productItem = fc.record({
  external_id: fc.constantFrom(...keys),
  name: maybe(short),
  quantity: fc.integer({ min: 0, max: 9 }),
  unit_price: maybe(fc.integer({ min: 0, max: 99 })),
  sku: maybe(short),
  tags: fc.subarray(["x", "y"]),
  // Parents come earlier in the alphabet, so there is never a circle: decoders break those.
  parent: fc.nat(3),
  is_package_component: fc.boolean(),
}, { requiredKeys: ["external_id"] }).map(({ parent, ...item }) => {
  const place = keys.indexOf(item.external_id);
  if (parent === undefined) return item;
  return { ...item, parent_external_id: parent < place ? keys[parent] ?? null : null };
});

const attachmentItem = fc.record({
  name: fc.constantFrom("one", "two", "three"),
  token: fc.nat(9),
  file_name: maybe(short),
}, { requiredKeys: ["name", "token"] }).map(({ name, token, ...item }) => ({
  url: `https://x.example/${name}?${token}`,
  url_key: `https://x.example/${name}`,
  ...item,
}));

function list<T>(
  item: fc.Arbitrary<T>,
  key: (item: T) => string,
  whole: fc.Arbitrary<boolean | null> = fc.constantFrom(true, false, null),
) {
  const items = fc.uniqueArray(item, { maxLength: 4, selector: key });
  return fc.record({ complete: whole, items });
}

/** A statement that leaves out whatever it likes. */
export const partialStatement: fc.Arbitrary<Statement> = fc.record({
  booking: fc.record(fields, { requiredKeys: [] }),
  dates: list(dateItem, (item) => item.phase + item.day),
  products: list(productItem, (item) => item.external_id),
  attachments: list(attachmentItem, (item) => item.url_key),
  source_version: fc.integer({ min: 1, max: 6 }),
}, { requiredKeys: ["booking"] }) as fc.Arbitrary<Statement>;

/** A statement of everything: every field, and lists that are said to be whole. */
export const fullStatement: fc.Arbitrary<Statement> = fc.record({
  booking: fc.record(fields),
  dates: list(
    dateItem.map((item) => ({ start_time: null, end_time: null, ...item })),
    (item) => item.phase + item.day,
    fc.constant(true),
  ),
  products: list(
    productItem.map((item) => ({
      name: null,
      quantity: 1,
      unit_price: null,
      sku: null,
      tags: [],
      parent_external_id: null,
      is_package_component: false,
      ...item,
    })),
    (item) => item.external_id,
    fc.constant(true),
  ),
  attachments: list(
    attachmentItem.map((item) => ({ file_name: null, ...item })),
    (item) => item.url_key,
    fc.constant(true),
  ),
}).map(withoutOrphans) as fc.Arbitrary<Statement>;

/** A whole list names no parent that it does not hold. */
function withoutOrphans<
  T extends { products: { items: { external_id: string; parent_external_id: string | null }[] } },
>(statement: T): T {
  const { items } = statement.products;
  const known = new Set<string | null>(items.map(({ external_id }) => external_id));
  const adopted = items.map((item) =>
    known.has(item.parent_external_id) ? item : { ...item, parent_external_id: null }
  );
  return { ...statement, products: { ...statement.products, items: adopted } };
}

const plannerEdit: fc.Arbitrary<PlannerEdit> = fc.record({
  edit: fc.constantFrom(
    "note",
    "team",
    "times",
    "lock",
    "warehouse",
    "task",
    "pack",
    "manual",
    "attach",
    "start",
  ),
  pick: fc.nat(3),
  value: fc.integer({ min: 1, max: 9 }),
});

/** Statements about one booking with planner's edits in between. */
export const sequence: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: partialStatement.map((says) => ({ says })) },
    { weight: 1, arbitrary: plannerEdit },
  ),
  { minLength: 1, maxLength: 8, size: "max" },
);

/** A statement as a snapshot of one booking, read at one moment. */
export function stated(externalId: string, statement: Statement, fetchedAt: string): Snapshot {
  return buildPartialSnapshot({
    ...statement,
    external_id: externalId,
    fetched_at: fetchedAt,
  });
}

/**
 * Checks a property of batches until so many elements have been through it: a batch costs the
 * database a few calls, however many it holds, and a failing one is shrunk like any other value.
 * `PROPERTY_RUNS` sets the number, `PROPERTY_SEED` repeats a failure.
 */
export async function checkBatches<T>(
  element: fc.Arbitrary<T>,
  property: (batch: readonly T[]) => Promise<void>,
  runs: number,
): Promise<void> {
  const wanted = Number(Deno.env.get("PROPERTY_RUNS") ?? runs);
  const first = Number(Deno.env.get("PROPERTY_SEED") ?? (fullScale ? Date.now() % 1e9 : 1));
  const maxLength = Math.min(250, wanted);
  const batch = fc.array(element, { minLength: 1, maxLength, size: "max" });
  let done = 0;
  for (let round = 0; done < wanted; round++) {
    let passed = 0;
    const check = fc.asyncProperty(batch, async (elements) => {
      await property(elements);
      passed = elements.length;
    });
    await fc.assert(check, { numRuns: 1, seed: first + round, interruptAfterTimeLimit: 120_000 });
    done += passed;
  }
}
