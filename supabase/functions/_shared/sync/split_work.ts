import type { Snapshot } from "../booking/snapshot.ts";
import type { ClaimedDelivery } from "./delivery_queue.ts";

/** Most rows and bookings of a page in one transaction; a run has time for large ones. */
const MAX_PAGE_ROWS = 15_000;
const MAX_PAGE_BOOKINGS = 500;
/**
 * Most rows of deliveries in one transaction; Postgres writes them well within the platform's
 * statement timeout.
 */
const MAX_CALL_ROWS = 5_000;
/** Most bytes of answers in one call, since they are serialized several times on the way. */
const MAX_CALL_BYTES = 8 * 1024 * 1024;
/** From this attempt on a delivery is applied alone, since it failed twice together with others. */
const ALONE_FROM_ATTEMPT = 3;

/** A page in parts of one transaction each; one empty part for an empty page. */
export function splitPage(snapshots: readonly Snapshot[]): readonly (readonly Snapshot[])[] {
  const parts: Snapshot[][] = [[]];
  let rows = 0;
  for (const snapshot of snapshots) {
    const size = rowsOf(snapshot);
    const part = parts.at(-1)!;
    if (part.length > 0 && (part.length === MAX_PAGE_BOOKINGS || rows + size > MAX_PAGE_ROWS)) {
      parts.push([snapshot]);
      rows = size;
    } else {
      part.push(snapshot);
      rows += size;
    }
  }
  return parts;
}

/** A claimed delivery and what its source states. */
export interface ReadDelivery {
  readonly claimed: ClaimedDelivery;
  readonly snapshot: Snapshot;
  /** Bytes of the answer. */
  readonly bytes?: number | undefined;
}

/**
 * Splits a batch into the calls that apply it: one per organization, or more if a call would be too
 * large. A delivery that is too large or has failed before goes alone, so that it cannot fail
 * others.
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
    if (attempts >= ALONE_FROM_ATTEMPT || rows > MAX_CALL_ROWS || bytes > MAX_CALL_BYTES) {
      groups.push([each]);
    } else if (
      place && place.rows + rows <= MAX_CALL_ROWS && place.bytes + bytes <= MAX_CALL_BYTES
    ) {
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

/** How many rows a snapshot becomes. */
function rowsOf({ dates, products, attachments }: Snapshot): number {
  const items = [dates, products, attachments].map((list) => list?.items.length ?? 0);
  return items.reduce((sum, count) => sum + count, 1);
}
