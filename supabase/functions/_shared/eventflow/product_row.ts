import {
  createReading,
  pick,
  readFlag,
  type Reading,
  readNumber,
  readText,
  remainder,
  setStated,
  type Stated,
  warn,
} from "../source/reading.ts";
import {
  isJsonObject,
  type JsonObject,
  setOwn,
  SNAPSHOT_LIMITS,
  type SnapshotProduct,
} from "../booking/snapshot.ts";

/** One entry of `products[]`, before its id and its parent are known. */
export interface ProductRow {
  /** All columns except `external_id` and `parent_external_id`. */
  readonly columns: Omit<SnapshotProduct, "external_id" | "parent_external_id">;
  /** The id that the row has in the source; undefined if it has none. */
  readonly id: string | undefined;
  /** The parents that the row names, the likelier first. */
  readonly parents: readonly string[];
  readonly component: boolean;
  /** Whether its name marks it as belonging to a row before it. */
  readonly marked: boolean;
  readonly position: number;
  /** `package_components[]` as sent. */
  readonly parts: readonly unknown[];
  /** False if its id or its components hold something that could not be read. */
  readonly readable: boolean;
  readonly unmapped: JsonObject | undefined;
  readonly reading: Reading;
}

/** A row whose id and parent are known. */
export interface SettledRow extends ProductRow {
  readonly externalId: string;
  readonly parentId: string | null | undefined;
}

const COSTS = [
  "labor_cost",
  "material_cost",
  "external_cost",
  "setup_hours",
  "assembly_cost",
  "handling_cost",
  "purchase_cost",
];
const MARK = /^\s*(?:↳|└|L,)/;
/** How the names of package components begin. */
const COMPONENT_MARK = /^\s*⦿|^ {2,}--\s/;
// An explicit null resets these columns, which cannot be null, to their defaults.
const DEFAULT_QUANTITY = 1;
const DEFAULT_VAT_RATE = 25;

/** Decodes the entry at `position`: a row of the list, or with `component` a part of a package. */
export function readProductRow(
  entry: JsonObject,
  parent: Reading,
  options: { readonly field: string; readonly position: number; readonly component?: boolean },
): ProductRow {
  const reading = createReading(entry, parent.warnings, `${options.field}.`);
  const id = options.component ? undefined : readId(reading);
  const flag = options.component || isMarkedComponent(entry)
    ? (reading.used.add("is_package_component"), true)
    : readFlag(reading, ["is_package_component"]);
  const named = readText(reading, ["parent_product_id"]);
  const packaged = readText(reading, ["parent_package_id"]);
  const component = flag === true;
  const columns: Omit<SnapshotProduct, "external_id" | "parent_external_id"> = {};
  setStated(columns, "name", readText(reading, ["name", "product_name"]));
  setStated(columns, "quantity", orDefault(readNumber(reading, ["quantity"]), DEFAULT_QUANTITY));
  setStated(
    columns,
    "unit_price",
    readNumber(reading, ["unit_price", "price", "rental_price", "cost"]),
  );
  setStated(columns, "total_price", readNumber(reading, ["total", "total_price"]));
  setStated(columns, "discount", readNumber(reading, ["discount"]));
  setStated(columns, "vat_rate", orDefault(readNumber(reading, ["vat_rate"]), DEFAULT_VAT_RATE));
  setStated(columns, "sku", readText(reading, ["sku", "article_number"]));
  setStated(columns, "notes", readText(reading, ["notes", "description"]));
  setStated(columns, "sort_index", readNumber(reading, ["sort_index"]));
  setStated(columns, "is_package_component", flag === null ? false : flag);
  setStated(columns, "tags", readTags(reading));
  setStated(
    columns,
    "inventory_item_type_id",
    readText(reading, [...(options.component ? ["item_type_id"] : []), "inventory_item_type_id"]),
  );
  setStated(columns, "inventory_package_id", readText(reading, ["inventory_package_id"]));
  setStated(columns, "costs", readCosts(reading));
  const parts = readParts(reading);
  return {
    columns,
    id: id ?? undefined,
    parents: (component ? [packaged, named] : [named, packaged]).flatMap((id) => id || []),
    component,
    marked: MARK.test(columns.name ?? "") || COMPONENT_MARK.test(columns.name ?? ""),
    position: options.position,
    parts: parts ?? [],
    readable: id !== null && parts !== undefined && parts.every(isJsonObject),
    unmapped: remainder(reading),
    reading,
  };
}

function isMarkedComponent(entry: JsonObject): boolean {
  const name = entry["name"] ?? entry["product_name"];
  return typeof name === "string" && COMPONENT_MARK.test(name);
}

/**
 * The first of the alternative ids that is text or a whole number; `undefined` if each is absent,
 * null or blank, and null if there is something else, so that the row has an id that we cannot know.
 */
function readId(reading: Reading): string | null | undefined {
  const names = ["id", "product_id", "productId"];
  let unreadable: string | undefined;
  for (const name of names) {
    const value = reading.source[name];
    const id = Number.isSafeInteger(value) ? String(value) : value;
    if (typeof id !== "string") {
      if (id !== undefined && id !== null) unreadable ??= name;
    } else if (id.trim() !== "") {
      pick(reading, names);
      reading.used.add(name);
      return id;
    }
  }
  if (unreadable === undefined) return undefined;
  warn(reading, unreadable, "invalid_id", "The id is neither text nor a whole number");
  return null;
}

function readTags(reading: Reading): string[] | undefined {
  const found = pick(reading, ["tags"]);
  if (found === undefined) return undefined;
  if (found.value === null) return [];
  const { value } = found;
  const few = Array.isArray(value) && value.length <= SNAPSHOT_LIMITS.tags;
  if (few && value.every((tag) => typeof tag === "string")) {
    return value;
  }
  reading.used.delete("tags");
  warn(reading, "tags", "invalid_list", "tags must be a list of few texts; it was ignored");
  return undefined;
}

function readCosts(reading: Reading): JsonObject | undefined {
  const costs: JsonObject = {};
  for (const name of COSTS) {
    const found = pick(reading, [name]);
    if (found !== undefined) setOwn(costs, name, found.value);
  }
  return Object.keys(costs).length > 0 ? costs : undefined;
}

/** The parts of a package; `undefined` if there is something that is not a list. */
function readParts(reading: Reading): readonly unknown[] | undefined {
  const found = pick(reading, ["package_components"]);
  if (found === undefined || found.value === null) return [];
  if (Array.isArray(found.value)) return found.value;
  reading.used.delete("package_components");
  warn(reading, "package_components", "invalid_list", "package_components must be a list");
  return undefined;
}

function orDefault(value: Stated<number>, fallback: number): number | undefined {
  return value === null ? fallback : value;
}
