import type { Random } from "../random.ts";

type Product = Readonly<Record<string, unknown>>;

/**
 * The product rows of one booking, in the shapes that EventFlow uses: a tent package with
 * components on the parent, an accessory by its `↳` name, a child by `parent_product_id`, a
 * component row by `parent_package_id`, and single articles.
 */
export function seedProducts(random: Random, index: number, wanted?: number): readonly Product[] {
  const rows: Product[] = [];
  const rowId = () => `p-${index}-${rows.length + 1}`;
  const total = wanted ?? random.integer(3, 9);

  const tent = rowId();
  if (rows.length < total) {
    rows.push({
      ...article(random, tent, "Partytält 6x12 m", 1, 8_900, rows.length),
      inventory_package_id: "pkg-talt-6x12",
      package_components: [
        { name: "Taltstolpe 2,3 m", quantity: 14, sku: "TS-23", item_type_id: "it-stolpe" },
        { name: "Takduk 3 m", quantity: 4, sku: "TD-3" },
        { name: "Jordspett", quantity: 28 },
      ],
      setup_hours: 6,
      labor_cost: 2_400,
    });
  }
  if (rows.length < total) {
    rows.push(article(random, rowId(), "↳ Trägolv 72 m²", 1, 5_400, rows.length));
  }
  if (rows.length < total) {
    rows.push({
      ...article(random, rowId(), "Gavel med fönster", 2, 650, rows.length),
      parent_product_id: tent,
    });
  }
  const bar = rowId();
  if (rows.length < total) {
    rows.push({
      ...article(random, bar, "Barpaket", random.integer(1, 3), 1_900, rows.length),
      inventory_package_id: "pkg-bar",
    });
  }
  if (rows.length < total) {
    rows.push({
      ...article(random, rowId(), "Bardisk 2 m", 2, 0, rows.length),
      is_package_component: true,
      parent_package_id: bar,
      inventory_item_type_id: "it-bardisk",
    });
  }
  while (rows.length < total) {
    const [name, price] = random.pick(articles);
    rows.push(article(random, rowId(), name, random.integer(0, 60), price, rows.length));
  }
  return rows;
}

function article(
  random: Random,
  id: string,
  name: string,
  quantity: number,
  price: number,
  sortIndex: number,
): Product {
  return {
    id,
    name,
    quantity,
    unit_price: price,
    total_price: price * quantity,
    discount: random.chance(0.1) ? 10 : 0,
    vat_rate: 25,
    sort_index: sortIndex + 0.5,
    article_number: `A-${name.length}${price}`,
    tags: random.chance(0.3) ? ["utomhus"] : [],
  };
}

const articles = [
  ["Stol, vit", 25],
  ["Ståbord", 95],
  ["Långbord 180 cm", 110],
  ["Ljusslinga 20 m", 180],
  ["Elverk 6 kW", 1_250],
  ["Infravärmare", 320],
  ["Scenpodium 2x1 m", 410],
] as const;
