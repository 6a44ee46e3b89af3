import { jwtVerify, SignJWT } from "jose";
import type { LocalKeys } from "../keys.ts";

/** Who calls, as policies see it. */
export interface Claims {
  readonly role: "anon" | "authenticated" | "service_role";
  /** The user's id. */
  readonly sub?: string;
}

/** The caller by `authorization`, else by `apikey`; undefined without a key that is ours. */
export async function readCaller(headers: Headers, keys: LocalKeys): Promise<Claims | undefined> {
  const bearer = /^Bearer\s+(.+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  return await claimsOf(bearer, keys) ?? await claimsOf(headers.get("apikey") ?? undefined, keys);
}

async function claimsOf(key: string | undefined, keys: LocalKeys): Promise<Claims | undefined> {
  if (key === undefined) return undefined;
  if (key === keys.publishableKey) return { role: "anon" };
  if (key === keys.secretKey) return { role: "service_role" };
  try {
    const { payload } = await jwtVerify(key, secret(keys), { algorithms: ["HS256"] });
    const { role, sub } = payload;
    if (role !== "anon" && role !== "authenticated" && role !== "service_role") return undefined;
    return { ...payload, role, ...(sub === undefined ? {} : { sub }) };
  } catch {
    return undefined;
  }
}

/** A token that opens one file for some seconds. */
export function signPath(keys: LocalKeys, path: string, seconds: number): Promise<string> {
  return new SignJWT({ url: path })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
    .sign(secret(keys));
}

/** Whether a token opens a file now. */
export async function verifyPath(keys: LocalKeys, path: string, token: string): Promise<boolean> {
  try {
    const { payload } = await jwtVerify(token, secret(keys), { algorithms: ["HS256"] });
    return payload["url"] === path;
  } catch {
    return false;
  }
}

function secret({ jwtSecret }: LocalKeys): Uint8Array {
  return new TextEncoder().encode(jwtSecret);
}
