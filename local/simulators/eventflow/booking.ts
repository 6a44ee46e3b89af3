/** A booking in EventFlow's form; only the fields that the simulator itself reads are named. */
export interface EventflowBooking {
  readonly id: string;
  readonly status?: unknown;
  readonly updated_at?: unknown;
  readonly version?: unknown;
  readonly organization_id?: unknown;
  readonly [field: string]: unknown;
}
