import { exportJWK, generateKeyPair, SignJWT } from "jose";

/** What a token says; the times in seconds from now. */
export interface Claims {
  readonly issuer?: string | null;
  readonly audience?: string | null;
  readonly expires?: number;
  readonly notBefore?: number;
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** An auth service: it publishes a key set on this machine and signs with its keys. */
export interface KeySet {
  readonly url: string;
  /** How often the key set was fetched. */
  fetches(): number;
  sign(claims?: Claims): Promise<string>;
  /** Signed with a key of the same id that is not in the set. */
  forge(claims?: Claims): Promise<string>;
  /** HS256 with the public key for its secret, as if both kinds of key were one. */
  confuse(claims?: Claims): Promise<string>;
  /** Answers 500 instead of the key set. */
  break(broken: boolean): void;
  stop(): Promise<void>;
}

export const issuer = "https://auth.example.test/";
export const audience = "booking-sync";

/** Serves one ES256 key. */
export async function serveKeySet(): Promise<KeySet> {
  const kid = "key-1";
  const ours = await generateKeyPair("ES256");
  const other = await generateKeyPair("ES256");
  const key = { ...await exportJWK(ours.publicKey), kid, alg: "ES256", use: "sig" };
  let fetches = 0;
  let broken = false;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    fetches++;
    return broken ? new Response("down", { status: 500 }) : Response.json({ keys: [key] });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/.well-known/jwks.json`,
    fetches: () => fetches,
    sign: (claims = {}) =>
      make(claims).setProtectedHeader({ alg: "ES256", kid })
        .sign(ours.privateKey),
    forge: (claims = {}) =>
      make(claims).setProtectedHeader({ alg: "ES256", kid })
        .sign(other.privateKey),
    confuse: (claims = {}) =>
      make(claims).setProtectedHeader({ alg: "HS256", kid })
        .sign(new TextEncoder().encode(JSON.stringify(key))),
    break: (next) => void (broken = next),
    stop: () => server.shutdown(),
  };
}

/** HS256 with a shared secret. */
export function signShared(secret: string, claims: Claims = {}): Promise<string> {
  return make(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret));
}

/** Without a signature (`alg: none`, RFC 7519 section 6). */
export function unsigned(claims: Claims = {}, alg = "none"): string {
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: issuer, aud: audience, exp: now + 600, ...claims.claims };
  return `${encode({ alg, typ: "JWT" })}.${encode(payload)}.`;
}

function make(claims: Claims): SignJWT {
  const now = Math.floor(Date.now() / 1000);
  const token = new SignJWT(claims.claims ?? {})
    .setExpirationTime(now + (claims.expires ?? 600))
    .setNotBefore(now + (claims.notBefore ?? -60));
  if (claims.issuer !== null) token.setIssuer(claims.issuer ?? issuer);
  if (claims.audience !== null) token.setAudience(claims.audience ?? audience);
  return token;
}

function encode(part: unknown): string {
  return btoa(JSON.stringify(part)).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
}
