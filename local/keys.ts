import { SignJWT } from "jose";

/** The keys of a local stack. They are the same on every machine and work nowhere else. */
export interface LocalKeys {
  /** Signs the two JWTs below; the same as in every local Supabase project. */
  readonly jwtSecret: string;
  readonly anonKey: string;
  readonly serviceRoleKey: string;
  readonly publishableKey: string;
  readonly secretKey: string;
  readonly webhookSecret: string;
  readonly eventflowApiKey: string;
  readonly headoutApiKey: string;
  readonly headoutWebhookKey: string;
}

const jwtSecret = "super-secret-jwt-token-with-at-least-32-characters-long";

/** The development keys, computed from constants. */
export async function localKeys(): Promise<LocalKeys> {
  return {
    jwtSecret,
    anonKey: await signKey("anon"),
    serviceRoleKey: await signKey("service_role"),
    publishableKey: "sb_publishable_local_development",
    secretKey: "sb_secret_local_development",
    webhookSecret: "local-webhook-secret",
    eventflowApiKey: "local-eventflow-key",
    headoutApiKey: "tk_local_headout_key",
    headoutWebhookKey: "local-headout-webhook-key",
  };
}

/** A user's access token as the auth service issues it; `auth.uid()` returns its `sub`. */
export function signUserToken(userId: string, lifetime = "1h"): Promise<string> {
  return new SignJWT({ role: "authenticated", aud: "authenticated" })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(userId)
    .setIssuedAt()
    .setExpirationTime(lifetime)
    .sign(new TextEncoder().encode(jwtSecret));
}

function signKey(role: "anon" | "service_role"): Promise<string> {
  return new SignJWT({ iss: "supabase-demo", role, exp: 1983812996 })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .sign(new TextEncoder().encode(jwtSecret));
}
