import { type Reading, warn } from "../source/reading.ts";
import type { SnapshotProduct } from "../booking/snapshot.ts";

/**
 * Removes the parent of a row that would be its own ancestor, since quantities are multiplied up
 * the chain of parents. Warns of it, and of parents that are not in the list.
 */
export function breakCycles(items: ReadonlyMap<string, SnapshotProduct>, reading: Reading): void {
  const done = new Set<string>();
  for (const item of items.values()) {
    const path = new Set<string>();
    let row: SnapshotProduct | undefined = item;
    while (row !== undefined && !done.has(row.external_id)) {
      path.add(row.external_id);
      const parent: string | null | undefined = row.parent_external_id;
      if (!parent) break;
      if (path.has(parent)) {
        row.parent_external_id = null;
        note(reading, "parent_cycle", "A row is its own ancestor; its parent was ignored");
        break;
      }
      if (!items.has(parent)) {
        note(reading, "unknown_parent", "A row names a parent that is not in the list");
      }
      row = items.get(parent);
    }
    for (const id of path) done.add(id);
  }
}

function note(reading: Reading, code: string, message: string): void {
  warn(reading, "products", code, message);
}
