import type { BookingSource, StatedBooking } from "../source/booking_source.ts";
import { SourceError } from "../source/source_error.ts";
import type { BookingSourceName } from "../booking/status.ts";
import { TimeUp, within } from "../within.ts";
import {
  type Failure,
  notFound,
  sourceFailed,
  sourceNotConfigured,
  sourceTooSlow,
} from "./failures.ts";

/** The sources that have an API key here. */
export type Sources = Readonly<Partial<Record<BookingSourceName, BookingSource>>>;

/** Which booking to read. */
export interface BookingToRead {
  readonly source: BookingSourceName;
  readonly externalId: string;
  readonly organizationId: string;
  /** Nothing will be written. */
  readonly dryRun?: boolean;
}

/** What the source states, or why it states nothing, within `milliseconds`. */
export async function readBooking(
  sources: Sources,
  booking: BookingToRead,
  milliseconds: number,
): Promise<StatedBooking | Failure> {
  const { externalId, organizationId, dryRun = false } = booking;
  const source = sources[booking.source];
  if (!source) return sourceNotConfigured(booking.source);
  try {
    const answer = await within(
      milliseconds,
      (signal) => source.readSingle({ externalId, organizationId, dryRun, signal }),
    );
    return answer.kind === "absent" ? notFound(answer.reason) : answer;
  } catch (error) {
    if (error instanceof SourceError) return sourceFailed(error);
    if (error instanceof TimeUp) return sourceTooSlow(error);
    throw error;
  }
}
