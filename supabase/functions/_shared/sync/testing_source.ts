/** A source in memory for unit tests; nothing deployed imports this file. */
import type { Snapshot } from "../booking/snapshot.ts";
import type { BookingSource, Page } from "../source/booking_source.ts";

/** How a page is wrong. */
export interface WrongPage {
  /** Another page than requested. */
  readonly page?: number;
  /** Another size. */
  readonly size?: number;
  /** Rows missing at its beginning. */
  readonly cut?: number;
}

/** A snapshot that only has an id. */
export function snapshotOf(id: string): Snapshot {
  return {
    external_id: id,
    fetched_at: "2026-08-04T17:11:00.000Z",
    content_hash: id.padEnd(64, "0"),
    booking: { title: id },
  };
}

/** Pages of the rows as they are at each read, by number as EventFlow has them. */
export function eventflowLike(
  rows: () => readonly string[],
  size: number,
  wrong: (page: number) => WrongPage = () => ({}),
  overlap = 0,
): { readonly source: BookingSource; readonly asked: number[] } {
  const asked: number[] = [];
  const source: BookingSource = {
    name: "eventflow",
    readSingle: () => Promise.reject(new Error("not read singly")),
    readPage({ cursor: page = 1 }): Promise<Page> {
      asked.push(page);
      const fault = wrong(page);
      const length = fault.size ?? size;
      const first = ((fault.page ?? page) - 1) * length;
      const ids = rows().slice(first, first + length).slice(fault.cut ?? 0);
      const start = (page - 1) * size;
      const before = overlap > 0 && page > 1 ? rows().slice(start - overlap, start) : undefined;
      const more = (before ?? []).filter((id) => !ids.includes(id));
      return Promise.resolve({
        snapshots: [...more, ...ids].map(snapshotOf),
        invalid: [],
        ids,
        limit: size,
        ...(ids.length < size ? { last: true, probe: page + 1 } : { last: false, next: page + 1 }),
        ...(before ? { overlap: before } : {}),
        bytes: 100,
        busyMs: 1,
      });
    },
  };
  return { source, asked };
}
