import type { Sql } from "../../local/database/database.ts";

/** What must be in no log line: the value, and what it is. */
export interface Forbidden {
  readonly value: string;
  readonly name: string;
}

/** Shapes of credentials and of personal data, no matter whose. */
const shapes: readonly (readonly [string, RegExp])[] = [
  ["a JWT", /eyJ[\w-]{5,}\.[\w-]+/],
  ["a bearer token", /bearer +(?!\[REDACTED\])[\w.-]{6,}/i],
  ["a key in a URL", /[?&](key|token|apikey)=(?!\[REDACTED\])[^&\s"]/i],
  ["an e-mail address", /(?!REDACTED@)\b[\w.+-]+@[\w-]+(\.[\w-]+)*\.[a-z]{2,}\b/i],
  ["a phone number", /\+\d{8,}/],
];

/** The lines that hold what must be in no log, each with what it is. */
export function findLeaks(
  lines: readonly string[],
  forbidden: readonly Forbidden[],
): readonly string[] {
  return lines.flatMap((line) => [
    ...forbidden.filter(({ value }) => line.includes(value))
      .map(({ name }) => `${name}: ${line}`),
    ...shapes.filter(([, shape]) => shape.test(line)).map(([name]) => `${name}: ${line}`),
  ]);
}

/** The credentials that a function was started with. */
export function secretsOf(environment: Readonly<Record<string, string>>): readonly Forbidden[] {
  return Object.entries(environment).flatMap(([name, value]) => {
    if (!/^(SUPABASE|WEBHOOK|EVENTFLOW|HEADOUT)_.*(KEY|KEYS|SECRET|SECRET_PREVIOUS)$/.test(name)) {
      return [];
    }
    const values = value.startsWith("{") ? Object.values(JSON.parse(value)).map(String) : [value];
    return values.map((secret) => ({ name, value: secret }));
  });
}

/** Contact and client of every stored booking. */
export async function personsOf(sql: Sql): Promise<readonly Forbidden[]> {
  return await sql.query<Forbidden>(
    `select distinct f.value, f.name from public.bookings b
     cross join lateral (values ('contact_name', contact_name), ('contact_phone', contact_phone),
       ('contact_email', contact_email), ('client_name', client_name)) as f (name, value)
     where length(f.value) > 5`,
  );
}
