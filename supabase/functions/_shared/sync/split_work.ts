import type { Snapshot } from "../booking/snapshot.ts";
import type { ClaimedDelivery } from "./delivery_queue.ts";

/** Rows and bookings of a page in one transaction; a run has the time for large ones. */
const MAX_PAGE_ROWS = 15_000;
const MAX_PAGE_BOOKINGS = 500;
/** Rows of deliveries in one transaction: what Postgres writes well within the platform's statement timeout. */
const MAX_CALL_ROWS = 5_000;
/** Bytes of answers in one call: it is written out as text several times over on its way. */
const MAX_CALL_BYTES = 8 * 1024 * 1024;
/** From this attempt on a delivery is applied alone: two attempts have failed with others. */
const ALONE_FROM_ATTEMPT = 3;

/** A page in parts that one transaction takes; one empty part for an empty page. */
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

/** A claimed delivery with what its source states. */
export interface ReadDelivery {
  readonly claimed: ClaimedDelivery;
  readonly snapshot: Snapshot;
  /** Bytes of the answer, where the source says. */
  readonly bytes?: number | undefined;
}

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

/** Rows of ours that a snapshot becomes. */
function rowsOf({ dates, products, attachments }: Snapshot): number {
  const items = [dates, products, attachments].map((list) => list?.items.length ?? 0);
  return items.reduce((sum, count) => sum + count, 1);
}
