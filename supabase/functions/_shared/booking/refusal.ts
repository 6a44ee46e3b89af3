/**
 * One booking that cannot be taken, by name of field. It refuses this booking only: decoders catch
 * it and name it in `Page.invalid`, so the page goes on (invariant 12, incident 23).
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
