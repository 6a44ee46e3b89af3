import type { Connection } from "@supabase/lite";

/**
 * Keeps `@supabase/lite` from granting everything. On its first request it would `grant all` on
 * every table of every schema that has a table with RLS to anon, authenticated and service_role,
 * which undoes what the migrations revoke. It does so only while it does not know whether RLS is
 * in use; ours is, and our migrations grant by name.
 */
export function trustOwnGrants(connection: Connection): void {
  if (!("rlsState" in connection)) {
    throw new TypeError("Cannot switch off the API's own grants: @supabase/lite has changed");
  }
  connection.rlsState = "active";
}
