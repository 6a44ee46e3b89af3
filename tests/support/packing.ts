import type { BookingDatabase } from "./booking_database.ts";
import type { Tenant } from "./tenant.ts";

/** Pieces to pack by the product's external id: the active items of the tenant's projects. */
export async function packedPieces(
  db: BookingDatabase,
  tenant: Tenant,
): Promise<Readonly<Record<string, number>>> {
  const rows = await db.query<{ external_id: string; quantity_to_pack: number }>(
    `select p.external_id, i.quantity_to_pack from public.packing_items i
     join public.booking_products p on p.id = i.booking_product_id
     where i.organization_id = $1 and i.active`,
    [tenant.id],
  );
  return Object.fromEntries(rows.map((row) => [row.external_id, Number(row.quantity_to_pack)]));
}

/** A change request as a test compares it. */
export interface ChangeRequest {
  readonly id: number;
  readonly external_id: string;
  readonly change_type: string;
  readonly old_quantity: number | null;
  readonly new_quantity: number | null;
  readonly urgency: string;
  readonly status: string;
  readonly resolved_by: string | null;
}

/** The tenant's packing change requests, oldest first. */
export function changeRequests(
  db: BookingDatabase,
  tenant: Tenant,
): Promise<readonly ChangeRequest[]> {
  return db.query<ChangeRequest>(
    `select r.id, p.external_id, r.change_type, r.old_quantity, r.new_quantity, r.urgency, r.status,
       r.resolved_by
     from public.packing_change_requests r
     join public.booking_products p on p.id = r.booking_product_id
     where r.organization_id = $1 order by r.id`,
    [tenant.id],
  );
}
