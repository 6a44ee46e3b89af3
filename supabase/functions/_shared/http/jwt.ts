import {
  createLocalJWKSet,
  decodeProtectedHeader,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from "jose";
import type { Sleep } from "../clock.ts";
import { AnswerError } from "../errors.ts";
import { createKeySet } from "./key_set.ts";

/** Never HS256 beside public keys, never `none` (RFC 8725 §3.1, §3.2). */
const ASYMMETRIC = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
const TOLERANCE_SECONDS = 30;
/** How long known keys stay valid while the key set cannot be fetched. */
const STALE_KEYS_MS = 3_600_000;

/** Where the keys are, and what a token must say. */
export interface JwtOptions {
  /** A key set, or where it is published (fetched on first use, cached 10 min, cool-down 1 s). */
  readonly jwks?: URL | JSONWebKeySet | undefined;
  /** Shared secret for HS256. */
  readonly secret?: string | undefined;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  /**
   * Seconds: a token must say when it was issued, no longer ago than this, and live no longer than
   * this.
   */
  readonly maxLifetimeSeconds?: number | undefined;
  readonly fetch?: typeof fetch;
  /** Milliseconds. Default `Date.now`. */
  readonly now?: () => number;
  readonly sleep?: Sleep;
}

/** The claims of a valid token; undefined for any other. */
export type VerifyJwt = (token: string) => Promise<JWTPayload | undefined>;

/** The keys could not be fetched, so the token cannot be checked now. */
export class KeysUnavailable extends AnswerError {
  override readonly name = "KeysUnavailable";

  constructor(options?: ErrorOptions) {
    super(503, "keys_unavailable", "Cannot check the credential: its keys are unreachable.", {
      ...options,
      retryAfterSeconds: 5,
    });
  }
}

/**
 * Makes a verifier that fails closed: asymmetric algorithms with the key set, HS256 with the
 * secret, an `exp`, 30 s of clock tolerance, issuer and audience where set. A token with an unknown key waits
 * for up to a second, until the key set has been read again. Throws {@linkcode KeysUnavailable}
 * rather than call a good token wrong, since senders do not repeat a 401.
 */
export function createJwtVerifier(options: JwtOptions): VerifyJwt {
  const now = options.now ?? (() => Date.now());
  const publicKeys = options.jwks === undefined ? undefined : getPublicKeys(options, now);
  const secret = options.secret === undefined
    ? undefined
    : new TextEncoder().encode(options.secret);

  return async (token) => {
    const expected: JWTVerifyOptions = {
      // A token without an end would open the door for ever (RFC 8725 §3.10).
      requiredClaims: ["exp"],
      clockTolerance: TOLERANCE_SECONDS,
      currentDate: new Date(now()),
      ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
      ...(options.audience === undefined ? {} : { audience: options.audience }),
      ...(options.maxLifetimeSeconds === undefined
        ? {}
        : { maxTokenAge: options.maxLifetimeSeconds }),
    };
    const checked = (payload: JWTPayload): JWTPayload | undefined => {
      const { iat = 0, exp = Infinity } = payload;
      return exp - iat > (options.maxLifetimeSeconds ?? Infinity) ? undefined : payload;
    };
    try {
      const { alg } = decodeProtectedHeader(token);
      if (alg === "HS256" && secret) {
        const { payload } = await jwtVerify(token, secret, { ...expected, algorithms: ["HS256"] });
        return checked(payload);
      }
      if (alg !== undefined && ASYMMETRIC.includes(alg) && publicKeys) {
        const known = { ...expected, algorithms: ASYMMETRIC };
        return checked((await jwtVerify(token, publicKeys, known)).payload);
      }
      return undefined;
    } catch (error) {
      if (error instanceof KeysUnavailable) throw error;
      return undefined;
    }
  };
}

function getPublicKeys(options: JwtOptions, now: () => number): JWTVerifyGetKey {
  if (!(options.jwks instanceof URL)) return createLocalJWKSet(options.jwks ?? { keys: [] });
  const remote = createKeySet(options.jwks, options);
  let fetchedAt = -Infinity;
  return async (header, token) => {
    try {
      const key = await remote.find(header, token);
      if (remote.keys.fresh) fetchedAt = now();
      return key;
    } catch (error) {
      if (saysTokenIsWrong(error)) throw error;
      const known = remote.keys.jwks();
      if (!known || now() - fetchedAt >= STALE_KEYS_MS) throw new KeysUnavailable({ cause: error });
      return await createLocalJWKSet(known)(header, token).catch((reason) => {
        // The key may be among those that could not be fetched.
        const unknown = reason instanceof errors.JWKSNoMatchingKey;
        throw unknown ? new KeysUnavailable({ cause: error }) : reason;
      });
    }
  };
}

/**
 * Whether the key set was read and has no key for this token; other errors are about the key set.
 */
function saysTokenIsWrong(error: unknown): boolean {
  return error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported;
}
