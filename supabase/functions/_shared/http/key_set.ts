import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from "jose";
import { type Sleep, sleepFor } from "../clock.ts";

/**
 * How long the key set is not fetched again, since anybody can send a token with an unknown key.
 */
const COOL_DOWN_MS = 1_000;
const COOL_DOWN_STEP_MS = 50;

/** How a published key set is read. */
export interface KeySetOptions {
  readonly fetch?: typeof fetch;
  readonly sleep?: Sleep;
}

/** A published key set. */
export interface KeySet {
  /** jose's key set: the known keys, and whether they are fresh. */
  readonly keys: ReturnType<typeof createRemoteJWKSet>;
  /** The key of a token; rejects like jose's own key set. */
  readonly find: JWTVerifyGetKey;
}

/**
 * A published key set. Before `find` rejects a key as unknown, it has read the set once after being
 * asked, since the key may have been published within the cool-down.
 */
export function createKeySet(url: URL, options: KeySetOptions = {}): KeySet {
  const { fetch: get = fetch, sleep = sleepFor } = options;
  let fetches = 0;
  const keys = createRemoteJWKSet(url, {
    timeoutDuration: 5_000,
    cooldownDuration: COOL_DOWN_MS,
    [customFetch]: (input, init) => {
      fetches += 1;
      return get(input, init);
    },
  });

  let coolingDown: Promise<void> | undefined;
  async function coolDown(): Promise<void> {
    for (let ms = 0; ms < COOL_DOWN_MS && keys.coolingDown; ms += COOL_DOWN_STEP_MS) {
      await sleep(COOL_DOWN_STEP_MS);
    }
  }

  const find: JWTVerifyGetKey = async (header, token) => {
    const before = fetches;
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || fetches > before) throw error;
      await (coolingDown ??= coolDown().finally(() => coolingDown = undefined));
      return await keys(header, token); // the first caller fetches it, for all of them
    }
  };
  return { keys, find };
}
