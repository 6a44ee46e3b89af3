/**
 * A booking that cannot be accepted, and the field that is to blame. Decoders catch it and list the
 * booking in `Page.invalid`, so the rest of the page goes on (rule: one booking stops nothing).
 */
export class BookingRefusal extends Error {
  readonly code: string;
  /** The source's field, such as `event_dates[2]`; at most 200 characters. */
  readonly field: string;

  constructor(code: string, field: string, message: string) {
    super(message);
    this.name = "BookingRefusal";
    this.code = code;
    this.field = field.slice(0, 200).toWellFormed();
  }
}
