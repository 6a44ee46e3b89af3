import { createPostgresConnection } from "@supabase/lite/postgres";
import postgres from "postgres";
import { messageOf, OperatorError } from "../errors.ts";
import type { Database, Sql } from "./database.ts";
import { trustOwnGrants } from "./trust_own_grants.ts";

type Runner = Pick<postgres.Sql, "unsafe">;

/** Text in, text out, as PGlite does it: no Date objects, JSON parsed, safe integers as numbers. */
const types = {
  bigint: text(20, (value) => number(value)),
  numeric: text(1700, (value) => number(value)),
  json: { to: 114, from: [114], serialize: json, parse: (value: string) => JSON.parse(value) },
  jsonb: { to: 3802, from: [3802], serialize: json, parse: (value: string) => JSON.parse(value) },
  date: text(1082),
  time: text(1083),
  timestamp: text(1114),
  timestamptz: text(1184),
};

/** Opens a real Postgres by its URL. An unreachable one is an `OperatorError` without password. */
export async function openPostgres(
  url: string,
  options: { readonly connections?: number } = {},
): Promise<Database> {
  const client = postgres(url, {
    max: options.connections ?? 8,
    types,
    connect_timeout: 10,
    connection: { TimeZone: "UTC" },
    onnotice: () => {},
  });
  try {
    await client.unsafe("select 1");
  } catch (error) {
    await client.end({ timeout: 0 });
    throw new OperatorError(
      `Cannot reach Postgres at ${withoutPassword(url)} (DATABASE_URL): ${messageOf(error)}`,
      { cause: error },
    );
  }
  // The API hands JSON over as text; its own types would encode that text a second time.
  const api = createPostgresConnection({
    url,
    postgresOptions: {
      onnotice: () => {},
      types: { json: types.json, jsonb: types.jsonb } as unknown as Record<
        string,
        postgres.PostgresType
      >,
    },
  });
  trustOwnGrants(api);
  return {
    kind: "postgres",
    label: withoutPassword(url),
    api,
    ...onPostgres(client),
    transaction: <T>(work: (sql: Sql) => Promise<T>) =>
      client.begin((inner) => work(onPostgres(inner))) as Promise<T>,
    exclusive: (work) => work(),
    async close(): Promise<void> {
      await Promise.all([client.end({ timeout: 5 }), api.driver.end({ timeout: 5 })]);
    },
  };
}

/** The URL as it may be shown: the password is replaced. */
export function withoutPassword(url: string): string {
  try {
    const parsed = new URL(url);
    if (parsed.password !== "") parsed.password = "***";
    if (parsed.searchParams.has("password")) parsed.searchParams.set("password", "***");
    return parsed.toString();
  } catch {
    return "(not a URL)";
  }
}

function onPostgres(client: Runner): Sql {
  return {
    async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<readonly Row[]> {
      const rows = await client.unsafe(sql, [...parameters] as never[]);
      return [...rows] as unknown as Row[];
    },
    async exec(sql: string): Promise<void> {
      await client.unsafe(sql).simple();
    },
  };
}

function text(oid: number, parse: (value: string) => unknown = (value) => value) {
  return { to: oid, from: [oid], serialize: (value: unknown) => String(value), parse };
}

function json(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function number(value: string): number | string | bigint {
  const parsed = Number(value);
  if (String(parsed) === value) return parsed;
  return /^-?\d+$/.test(value) ? BigInt(value) : value;
}
