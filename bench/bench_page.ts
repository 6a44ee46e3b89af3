import type { Snapshot } from "../supabase/functions/_shared/booking/snapshot.ts";
import {
  addDays,
  attachments,
  buildSnapshot,
  days,
  products,
  RIG_DAY,
} from "../tests/support/booking_builder.ts";

/** `first` as it is imported; `changed` with another quantity in one product of each booking. */
export type PageKind = "first" | "changed";

/** Page `number` of realistic bookings: the same at every call but for the moment of reading. */
export function benchPage(number: number, size: number, kind: PageKind): readonly Snapshot[] {
  return Array.from({ length: size }, (_, index) => benchBooking(number * 1000 + index, kind));
}

function benchBooking(index: number, kind: PageKind): Snapshot {
  const id = `e7f10000-5eed-4000-8000-${index.toString(16).padStart(12, "0")}`;
  const rig = addDays(RIG_DAY, index % 300);
  return buildSnapshot({
    external_id: id,
    source_version: kind === "first" ? 1 : 2,
    source_updated_at: kind === "first" ? "2026-08-04T17:11:00Z" : "2026-08-05T17:11:00Z",
    booking: {
      booking_number: `2705-${index}`,
      title: `Sommarfest ${index}`,
      client_name: `Kund ${index % 97} AB`,
    },
    dates: days(
      ["rig", rig, "08:00:00", "16:00:00"],
      ["event", addDays(rig, 1), "17:00:00", "23:30:00"],
      ["rigdown", addDays(rig, 2), "09:00:00", "14:00:00"],
    ),
    products: products(...Array.from({ length: 12 }, (_, row) => ({
      external_id: `${id}-${row}`,
      name: `Artikel ${row}`,
      quantity: 1 + (index + row) % 20 + (kind === "changed" && row === 7 ? 1 : 0),
      unit_price: 10 * row + 0.5,
      total_price: 100 * row,
      sku: `SKU-${row}`,
      sort_index: row,
      inventory_item_type_id: `type-${row}`,
      // Row 0 is a package, the next three its components.
      ...(row >= 1 && row <= 3
        ? { parent_external_id: `${id}-0`, is_package_component: true }
        : {}),
    }))),
    attachments: attachments(
      {
        url: `https://files.example/${id}/offert.pdf?token=${index}`,
        file_name: "Offert.pdf",
        file_type: "application/pdf",
      },
      { url: `https://files.example/${id}/skiss.jpg?token=${index}`, file_name: "Skiss.jpg" },
    ),
  });
}
