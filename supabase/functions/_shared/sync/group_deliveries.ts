import type { Snapshot } from "../booking/snapshot.ts";
import type { ClaimedDelivery } from "./delivery_queue.ts";

/** A claimed delivery with what its source states. */
export interface ReadDelivery {
  readonly claimed: ClaimedDelivery;
  readonly snapshot: Snapshot;
  /** Bytes of the answer, where the source says. */
  readonly bytes?: number | undefined;
}

/** Rows in one transaction: what Postgres writes well within the platform's statement timeout. */
const MAX_ROWS = 5_000;
/** Bytes of answers in one call: it is written out as text several times over on its way. */
const MAX_BYTES = 8 * 1024 * 1024;
/** From this attempt on a delivery is applied alone: two attempts have failed with others. */
const ALONE_FROM_ATTEMPT = 3;

/**
 * Cuts a batch into the calls that apply it: one per organization, more only if a call would be too
 * large. What is too large by itself goes alone, and so does what has failed before, so that it
 * cannot take others with it.
 */
export function groupDeliveries(
  read: readonly ReadDelivery[],
): readonly (readonly ReadDelivery[])[] {
  const groups: ReadDelivery[][] = [];
  const open = new Map<string, { readonly group: ReadDelivery[]; rows: number; bytes: number }>();
  for (const each of read) {
    const { organizationId, attempts } = each.claimed;
    const rows = rowsOf(each.snapshot);
    const { bytes = 0 } = each;
    const place = open.get(organizationId);
    if (attempts >= ALONE_FROM_ATTEMPT || rows > MAX_ROWS || bytes > MAX_BYTES) groups.push([each]);
    else if (place && place.rows + rows <= MAX_ROWS && place.bytes + bytes <= MAX_BYTES) {
      place.group.push(each);
      place.rows += rows;
      place.bytes += bytes;
    } else {
      const group = [each];
      groups.push(group);
      open.set(organizationId, { group, rows, bytes });
    }
  }
  return groups;
}

function rowsOf({ dates, products, attachments }: Snapshot): number {
  const items = [dates, products, attachments].map((list) => list?.items.length ?? 0);
  return items.reduce((sum, count) => sum + count, 1);
}
