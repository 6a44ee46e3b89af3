import { type Reading, readList, setStated, warn } from "../source/reading.ts";
import { shortKey } from "../booking/child_keys.ts";
import {
  isJsonObject,
  type JsonObject,
  setOwn,
  type Snapshot,
  type SnapshotProduct,
} from "../booking/snapshot.ts";
import { readComponents } from "./package_components.ts";
import { type ProductRow, readProductRow, type SettledRow } from "./product_row.ts";
import { breakCycles } from "./break_cycles.ts";

/** The product tree of a booking, and the fields of it that have no column. */
export interface Products {
  readonly collection: NonNullable<Snapshot["products"]>;
  /** Unmapped fields by external id; absent if there are none. */
  readonly unmapped: JsonObject | undefined;
}

/**
 * The whole product tree as one list: plain rows, accessories (their name begins with `↳`, `└` or
 * `L,`, and their parent is the nearest earlier plain row) and package components with their
 * quantity per unit of the parent (incident: component quantities not multiplied). `undefined` if
 * no list was sent. An entry that is not an object or repeats an id is left out with a warning. The
 * list is stated only if every entry and every package's components could be read.
 */
export function readProducts(reading: Reading, complete: boolean | null): Products | undefined {
  const list = readList(reading, "products");
  if (list === undefined) return undefined;
  let stated = true;
  const rows: ProductRow[] = [];
  list.forEach((entry, position) => {
    const field = `products[${position}]`;
    if (isJsonObject(entry)) {
      const row = readProductRow(entry, reading, { field, position });
      stated &&= row.readable;
      rows.push(row);
      return;
    }
    stated = false;
    warn(reading, field, "invalid_product", "The entry is not an object; it was skipped");
  });
  const items = new Map<string, SnapshotProduct>();
  const unmapped: JsonObject = {};
  const settled = settleRows(rows);
  for (const row of [...settled, ...readComponents(settled)]) {
    if (items.has(row.externalId)) {
      warn(row.reading, "id", "duplicate_product", "Another row has this id; the first one counts");
      continue;
    }
    const item: SnapshotProduct = { external_id: row.externalId };
    setStated(item, "parent_external_id", row.parentId);
    items.set(row.externalId, Object.assign(item, row.columns));
    if (row.unmapped !== undefined) setOwn(unmapped, row.externalId, row.unmapped);
  }
  breakCycles(items, reading);
  return {
    collection: { complete, stated, items: [...items.values()] },
    unmapped: Object.keys(unmapped).length > 0 ? unmapped : undefined,
  };
}

/**
 * Gives every row its id and its parent, in the order of the list. An accessory belongs to the nearest
 * earlier plain row; so does a component whose package is no row of the list, since catalogues have
 * packages of their own.
 */
function settleRows(rows: readonly ProductRow[]): readonly SettledRow[] {
  const ordinals = new Map<string, number>();
  const settled = new Map<ProductRow, SettledRow>();
  const settle = (row: ProductRow, parentId: string | undefined): SettledRow => {
    // Only a row that mentions its parent can state that it has none.
    const silent = !Object.hasOwn(row.reading.source, "parent_product_id");
    const known = { ...row, parentId: parentId ?? (silent ? undefined : null) };
    const done = { ...known, externalId: row.id ?? ownId(row, parentId, ordinals) };
    settled.set(row, done);
    return done;
  };
  const ids = new Set(rows.map(({ id }) => id));
  let nearest: SettledRow | undefined;
  for (const row of inOrder(rows)) {
    const named = row.parents.find((id) => ids.has(id)) ??
      (row.component ? undefined : row.parents[0]);
    const orphan = named === undefined && (row.marked || row.parents.length > 0);
    const inferred = orphan ? nearest?.externalId ?? row.parents[0] : named;
    const done = settle(row, inferred);
    if (!row.component && !row.marked && inferred === undefined) nearest = done;
  }
  return rows.flatMap((row) => settled.get(row) ?? []);
}

/** Sorted by `sort_index`, then by position; a row without an index keeps its place in the list. */
function inOrder(rows: readonly ProductRow[]): readonly ProductRow[] {
  let last = -Infinity;
  return rows
    .map((row) => ({ row, index: last = row.columns.sort_index ?? last }))
    .sort((a, b) => (a.index === b.index ? 0 : a.index - b.index))
    .map(({ row }) => row);
}

/** An id for a row without one: from its parent, its name and its number among equals. */
function ownId(
  row: ProductRow,
  parentId: string | undefined,
  ordinals: Map<string, number>,
): string {
  const base = `~${parentId ?? ""}/${row.columns.name ?? ""}`;
  const ordinal = (ordinals.get(base) ?? 0) + 1;
  ordinals.set(base, ordinal);
  return shortKey(`${base}/${ordinal}`);
}
