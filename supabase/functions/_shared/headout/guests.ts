import { holds, pick, type Reading, readText, valueAt, warn } from "../source/reading.ts";
import { shortKey } from "../booking/child_keys.ts";
import {
  isJsonObject,
  type JsonObject,
  setOwn,
  type Snapshot,
  type SnapshotBooking,
  type SnapshotProduct,
} from "../booking/snapshot.ts";

/** The contact of a booking and its guests as products. */
export interface Guests {
  readonly contact: Pick<SnapshotBooking, "contact_name" | "contact_phone" | "contact_email">;
  readonly products: Snapshot["products"];
}

const CONTACT = new Map<string, "contact_name" | "contact_phone" | "contact_email">([
  ["NAME", "contact_name"],
  ["PHONE", "contact_phone"],
  ["EMAIL", "contact_email"],
]);

/**
 * The primary customer as the contact. As products the variant, and under it one row per person
 * type with the number of people. The number is `count`, also if fewer are listed: the rest goes to
 * the only person type, else to `UNSPECIFIED`. They are stated only if the list names everybody, and
 * the variant, which is part of their keys.
 */
export function readGuests(reading: Reading): Guests {
  const listed = valueAt(reading.source, "customersDetails.customers");
  const customers = Array.isArray(listed) ? listed.filter(isJsonObject) : undefined;
  const contact: Guests["contact"] = {};
  const primary = customers?.find((customer) => customer["isPrimary"] === true);
  for (const { key, value } of primary === undefined ? [] : contactFields(primary)) {
    contact[key] = value;
  }
  const readable = customers !== undefined && customers.length === (listed as unknown[]).length;
  const products = readPersonTypes(reading, customers, readable);
  if (readable && customers.every(isWhollyTaken)) {
    reading.used.add("customersDetails.customers");
  }
  return { contact, products };
}

function readPersonTypes(
  reading: Reading,
  customers: readonly JsonObject[] | undefined,
  readable: boolean,
): Snapshot["products"] {
  const variant = readVariant(reading);
  const count = pick(reading, ["customersDetails.count"])?.value;
  const known = Number.isSafeInteger(count) && (count as number) >= 0 ? count as number : undefined;
  if (customers === undefined && known === undefined) {
    if (variant === undefined) return undefined;
    return { complete: null, stated: false, items: [variant] };
  }
  const counts = new Map<string, number>();
  for (const customer of customers ?? []) {
    const word = customer["personType"];
    const type = typeof word === "string" && word.trim() !== "" ? word.trim() : "UNSPECIFIED";
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  const listed = customers?.length ?? 0;
  if (known !== undefined && known > listed) {
    const [only, ...others] = counts.keys();
    const type = only !== undefined && others.length === 0 ? only : "UNSPECIFIED";
    counts.set(type, (counts.get(type) ?? 0) + known - listed);
  }
  const everybody = readable && listed > 0 && (count === undefined || count === listed);
  if (!everybody) {
    const message = "Not every person is listed; what the others are is not known";
    warn(reading, "customersDetails.customers", "incomplete_list", message);
  }
  const items = [...counts].map(([type, quantity], index): SnapshotProduct => ({
    external_id: shortKey(`${variant?.external_id ?? ""}#${type}`),
    parent_external_id: variant?.external_id ?? null,
    name: type,
    quantity,
    sort_index: index + 1,
  }));
  if (variant === undefined) return { complete: null, stated: false, items };
  return { complete: null, stated: everybody, items: [variant, ...items] };
}

function readVariant(reading: Reading): SnapshotProduct | undefined {
  const id = readText(reading, ["variantId", "product.variant.id"]);
  const name = readText(reading, ["product.variant.name"]);
  const variant = valueAt(reading.source, "product.variant");
  if (
    isJsonObject(variant) && Object.keys(variant).every((key) => key === "id" || key === "name")
  ) {
    reading.used.add("product.variant");
  }
  if (!id) return undefined;
  const row: SnapshotProduct = { external_id: shortKey(id), quantity: 1, sort_index: 0 };
  if (name !== undefined) row.name = name;
  return row;
}

/** The contact fields among a customer's input fields, recognized by id, else by name. */
function contactFields(
  customer: JsonObject,
): { readonly key: keyof Guests["contact"]; readonly value: string | null }[] {
  const fields = Array.isArray(customer["inputFields"]) ? customer["inputFields"] : [];
  return fields.flatMap((field: unknown) => {
    if (!isJsonObject(field)) return [];
    const key = CONTACT.get(word(field["id"])) ?? CONTACT.get(word(field["name"]));
    const { value } = field;
    if (key === undefined || (typeof value !== "string" && value !== null)) return [];
    return [{ key, value }];
  });
}

/**
 * What was asked of guests beside the contact (pickup, language, custom questions), by the name of the
 * question: one answer, or all of them if guests answered differently.
 */
export function readInputs(reading: Reading): JsonObject | undefined {
  const customers = valueAt(reading.source, "customersDetails.customers");
  const lists = [
    valueAt(reading.source, "variantInputFields"),
    ...(Array.isArray(customers) ? customers : []).map((customer) =>
      isJsonObject(customer) ? customer["inputFields"] : undefined
    ),
  ];
  const answers = new Map<string, unknown[]>();
  for (const field of lists.filter(Array.isArray).flat()) {
    if (!isJsonObject(field) || !holds(field["value"])) continue;
    const name = [field["name"], field["id"]].find((each) =>
      typeof each === "string" && holds(each)
    );
    if (name === undefined || CONTACT.has(word(field["id"])) || CONTACT.has(word(name))) continue;
    const given = answers.get(name as string) ?? [];
    if (!given.includes(field["value"])) given.push(field["value"]);
    answers.set(name as string, given);
  }
  if (answers.size === 0) return undefined;
  const inputs: JsonObject = {};
  for (const [name, given] of answers) setOwn(inputs, name, given.length === 1 ? given[0] : given);
  return inputs;
}

/** Whether a customer holds nothing that should go to `extra`. */
function isWhollyTaken(customer: JsonObject): boolean {
  const { personType: _type, isPrimary, inputFields, ...unknown } = customer;
  if (Object.keys(unknown).length > 0) return false;
  const fields = Array.isArray(inputFields) ? inputFields.length : 0;
  return fields === (isPrimary === true ? contactFields(customer).length : 0);
}

function word(value: unknown): string {
  return typeof value === "string" ? value.trim().toUpperCase() : "";
}
