import { decodeList, findList, hashRows } from "./decode_list.ts";

const ORGANIZATION = "7d0c2f8e-3a52-4c1e-9a8e-1f6f0a4b5c01";
const page = JSON.stringify({ data: Array.from({ length: 500 }, (_, index) => booking(index)) });
const question = {
  organizationId: ORGANIZATION,
  fetchedAt: "2026-11-21T12:00:00.000Z",
  page: 1,
  limit: 500,
};

Deno.bench("JSON.parse() of 500 bookings with 12 products", () => {
  JSON.parse(page);
});

Deno.bench("decodeList() of 500 changed bookings with 12 products, parsing included", () => {
  const list = findList(JSON.parse(page));
  const { snapshots } = decodeList(list, question, hashRows(list));
  if (snapshots.length !== 500) throw new Error("Cannot measure: bookings were refused");
});

const known = new Set(Object.values(hashRows(findList(JSON.parse(page)))));

Deno.bench("decodeList() of 500 unchanged bookings with 12 products, parsing included", () => {
  const list = findList(JSON.parse(page));
  const { unchanged } = decodeList(list, question, hashRows(list), known);
  if (unchanged?.length !== 500) throw new Error("Cannot measure: bookings were decoded");
});

function booking(index: number): unknown {
  return {
    id: crypto.randomUUID(),
    organization_id: ORGANIZATION,
    booking_number: `2605-${index}`,
    clientName: "Bröderna Ö AB",
    title: "Midsommar på Skansen",
    status: "BEKRÄFTAD",
    rig_up_dates: ["2026-06-17", "2026-06-18"],
    event_dates: ["2026-06-19", "2026-06-20"],
    rig_down_dates: ["2026-06-21"],
    rig_start_time: "07:30",
    rig_end_time: "16:00",
    event_time: "17:00 – 23:30",
    delivery_address: "Djurgårdsslätten 49",
    delivery_city: "Stockholm",
    delivery_geocode: { lat: 59.3255, lng: 18.1039 },
    contact: { name: "Åsa Lind", phone: "+46 70 000 00 00", email: "asa@example.com" },
    carry_more_than_10m: true,
    internal_notes: "Ring vid ankomst. ".repeat(10),
    economics: { subtotal: 128400, discount: 0, total: 128400.5 },
    crew: [{ name: "Ola", hours: 8 }],
    products: Array.from({ length: 12 }, (_, row) => ({
      id: `row-${index}-${row}`,
      name: row % 3 === 1 ? "↳ Vägg" : `Tält ${row}`,
      quantity: row,
      unit_price: 9800,
      total: 19600,
      discount: 0,
      vat_rate: 25,
      sku: `T${row}`,
      sort_index: row,
      tags: ["tält"],
      notes: "",
      parent_product_id: null,
      inventory_item_type_id: `it-${row}`,
      setup_hours: 1.5,
      package_components: row === 3 ? [{ name: "Stolpe", quantity: 4, item_type_id: "it-9" }] : [],
    })),
    attachments: [
      { public_url: `https://files.example.com/${index}/a.pdf?token=1`, file_name: "a.pdf" },
      { url: `https://files.example.com/${index}/b.pdf?token=1`, name: "b.pdf" },
    ],
    updated_at: "2026-08-04T19:11:00+02:00",
    version: 7,
  };
}
