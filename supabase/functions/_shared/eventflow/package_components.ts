import { warn } from "../source/reading.ts";
import { shortKey } from "../booking/child_keys.ts";
import { isJsonObject } from "../booking/snapshot.ts";
import { type ProductRow, readProductRow, type SettledRow } from "./product_row.ts";

/**
 * The rows of all `package_components[]`. The external id is `{parent}#{item type, else sku, else
 * name}`, with an ordinal only if several are the same. Quantities stay per unit of the parent; the
 * projection multiplies them. A part that is also a row of the list is not added again.
 */
export function readComponents(rows: readonly SettledRow[]): readonly SettledRow[] {
  const listed = new Map<string, SettledRow[]>();
  for (const row of rows) {
    if (!row.component || !row.parentId) continue;
    const siblings = listed.get(row.parentId);
    if (siblings === undefined) listed.set(row.parentId, [row]);
    else siblings.push(row);
  }
  return rows.flatMap((row) =>
    row.parts.length === 0 ? [] : componentsOf(row, listed.get(row.externalId) ?? [])
  );
}

function componentsOf(parent: SettledRow, listed: readonly SettledRow[]): SettledRow[] {
  const open = [...listed];
  const ordinals = new Map<string, number>();
  return parent.parts.flatMap((entry, position) => {
    const field = `package_components[${position}]`;
    if (!isJsonObject(entry)) {
      warn(parent.reading, field, "invalid_product", "The entry is not an object; it was skipped");
      return [];
    }
    const part = readProductRow(entry, parent.reading, {
      field: parent.reading.at + field,
      position,
      component: true,
    });
    const same = open.findIndex((row) => isSamePart(row, part));
    if (same >= 0) {
      open.splice(same, 1);
      return [];
    }
    const { inventory_item_type_id: type, sku, name } = part.columns;
    const key = `${parent.externalId}#${type || sku || name || position + 1}`;
    const ordinal = (ordinals.get(key) ?? 0) + 1;
    ordinals.set(key, ordinal);
    const externalId = shortKey(ordinal === 1 ? key : `${key}#${ordinal}`);
    return [{ ...part, externalId, parentId: parent.externalId }];
  });
}

/** A part is identified by its item type, else its sku, else its name. */
function isSamePart(a: ProductRow, b: ProductRow): boolean {
  for (const key of ["inventory_item_type_id", "sku", "name"] as const) {
    if (a.columns[key] && b.columns[key]) return a.columns[key] === b.columns[key];
  }
  return false;
}
