import type { Database } from "./database/database.ts";

/** The demo organization; its id is the same on every machine, for commands to copy. */
export const demoOrganizationId = "d3300000-0000-4000-8000-000000000001";

/** Makes the demo organization if it is not there; its two connections come with it. */
export async function seedDemo(database: Database): Promise<void> {
  await database.query(
    `insert into public.organizations (id, name) values ($1, 'Demo Event AB')
     on conflict (id) do nothing`,
    [demoOrganizationId],
  );
}
