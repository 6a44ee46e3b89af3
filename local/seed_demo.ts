import type { Database } from "./database/database.ts";

/** The id of the demo organization; the same on every machine, so that commands can be copied. */
export const demoOrganizationId = "d3300000-0000-4000-8000-000000000001";

/** Creates the demo organization and its two connections, unless it exists. */
export async function seedDemo(database: Database): Promise<void> {
  await database.query(
    `insert into public.organizations (id, name) values ($1, 'Demo Event AB')
     on conflict (id) do nothing`,
    [demoOrganizationId],
  );
}
