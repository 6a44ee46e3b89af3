import type { Snapshot } from "../booking/snapshot.ts";
import type { BookingSourceName } from "../booking/status.ts";

/** Which booking to read. */
export interface ReadSingleArgs {
  readonly externalId: string;
  /** Uuid. An answer for another organization is a contradiction. */
  readonly organizationId: string;
  /** Whether files are only named, not stored, since nothing will be written. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * What a source says about one booking. `stated` is a statement to apply: the booking as it is, or
 * that it is cancelled or deleted. `absent` is none and changes nothing (rule: absence is not a
 * statement); `reason` is the source's own word.
 */
export type SingleAnswer = StatedBooking | AbsentBooking;

/** Something to apply, with its warnings in the snapshot. */
export interface StatedBooking {
  readonly kind: "stated";
  readonly snapshot: Snapshot;
  /** Bytes of the answer. */
  readonly bytes?: number;
}

/** Nothing to apply. */
export interface AbsentBooking {
  readonly kind: "absent";
  readonly reason: string;
  /** Bytes of the answer. */
  readonly bytes?: number;
}

/**
 * Finds the bookings of a page whose text is known: given `{ external id: hash of its text }`, the
 * hashes of those that need no decoding.
 */
export type FindKnown = (
  rawHashes: Readonly<Record<string, string>>,
  fetchedAt: string,
) => Promise<ReadonlySet<string>>;

/** Which page to read: leave `cursor` out for the first, pass the last page's `next` for others. */
export interface ReadPageArgs {
  readonly organizationId: string;
  /** How many rows of the list come before the page; opaque to callers, safe in a checkpoint. */
  readonly cursor?: number;
  /** ISO instant: only what was modified since. A source may ignore it. */
  readonly since?: string;
  /** `YYYY-MM-DD`. A source may ignore it. */
  readonly startDate?: string;
  /** `YYYY-MM-DD`. A source may ignore it. */
  readonly endDate?: string;
  /** Whether files are only named, not stored, since nothing will be written. */
  readonly dryRun?: boolean;
  /** Spares decoding what has not changed. A source may ignore it. */
  readonly findKnown?: FindKnown;
  readonly signal?: AbortSignal;
}

/**
 * A booking of a page that was refused while the others are applied (rule: one booking stops
 * nothing).
 */
export interface InvalidBooking {
  /** Absent if the booking has no readable id. */
  readonly external_id?: string;
  readonly code: string;
  /** The source's field, such as `event_dates[2]`. */
  readonly field: string;
  readonly message: string;
}

/** One page of bookings. */
export interface Page {
  readonly snapshots: readonly Snapshot[];
  readonly invalid: readonly InvalidBooking[];
  /** The bookings that were passed over since nothing of their text has changed. */
  readonly unchanged?: readonly string[];
  /** Every readable id on the page, also of refused bookings; for `guardPage`. */
  readonly ids: readonly string[];
  /** Whether the source has no page after this one. */
  readonly last: boolean;
  /** The next page's cursor; absent on the last page. */
  readonly next?: number;
  /**
   * The cursor after the last page, for a source that does not say where its list ends: a short
   * page may be a gap.
   */
  readonly probe?: number;
  /**
   * Bookings that were asked for. A page with more of them is the whole list of a source without
   * paging.
   */
  readonly limit?: number;
  /**
   * Ids of the rows right before this page at the time of this read. If they are not on the page
   * itself, their snapshots are included. Rows shift while we page: if none of these was on the
   * page before, something was missed in between.
   */
  readonly overlap?: readonly string[];
  /** Bytes of the answers behind this page. */
  readonly bytes?: number;
  /** Milliseconds that parsing and decoding them kept the processor busy. */
  readonly busyMs?: number;
}

/**
 * The port to a system that bookings come from. Both reads throw only `SourceError`, or the
 * signal's reason when aborted.
 */
export interface BookingSource {
  readonly name: BookingSourceName;
  /**
   * Rows that the next page should repeat if the cursor is an offset, since rows shift meanwhile.
   */
  readonly pageOverlap?: number;
  readSingle(args: ReadSingleArgs): Promise<SingleAnswer>;
  readPage(args: ReadPageArgs): Promise<Page>;
}
