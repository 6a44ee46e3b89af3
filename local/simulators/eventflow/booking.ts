/** A booking as EventFlow states it; only what the simulator itself looks at is named. */
export interface EventflowBooking {
  readonly id: string;
  readonly status?: unknown;
  readonly updated_at?: unknown;
  readonly version?: unknown;
  readonly organization_id?: unknown;
  readonly [field: string]: unknown;
}
