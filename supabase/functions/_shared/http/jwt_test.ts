import assert from "node:assert/strict";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { NOW } from "../testing.ts";
import { createJwtVerifier, KeysUnavailable } from "./jwt.ts";

const URL_OF_KEYS = new URL("https://auth.test/.well-known/jwks.json");
const first = await generateKeyPair("ES256");
const second = await generateKeyPair("RS256");
const KEYS = {
  keys: [
    { ...await exportJWK(first.publicKey), kid: "k1" },
    { ...await exportJWK(second.publicKey), kid: "k2", alg: "RS256" },
  ],
};

function token(options: { alg?: string; kid?: string; key?: CryptoKey } = {}): Promise<string> {
  const { alg = "ES256", kid = "k1", key = first.privateKey } = options;
  return new SignJWT({ sub: "s" }).setProtectedHeader({ alg, kid })
    .setExpirationTime(Math.floor(Math.max(NOW, Date.now()) / 1000) + 86_400).sign(key);
}

/** A key set behind a fetch that counts and can fail; a sleep only moves the fake clock. */
function publish(respond: () => Response | Promise<Response>) {
  let calls = 0;
  const sleeps: number[] = [];
  const verify = createJwtVerifier({
    jwks: URL_OF_KEYS,
    now: () => NOW,
    fetch: () => {
      calls += 1;
      return Promise.resolve(respond());
    },
    sleep: (ms) => {
      sleeps.push(ms);
      clock.passed += ms;
      return Promise.resolve();
    },
  });
  const slept = () => sleeps.reduce((sum, ms) => sum + ms, 0);
  return { verify, calls: () => calls, slept };
}

/** How far the clock has moved, in milliseconds; jose's cache uses `Date.now`. */
const clock = { passed: 0 };
const START = Date.now();
Date.now = () => START + clock.passed;

Deno.test("createJwtVerifier() fetches the keys once and then knows them", async () => {
  const { verify, calls } = publish(() => Response.json(KEYS));
  assert.equal((await verify(await token()))?.sub, "s");
  const rsa = await token({ alg: "RS256", kid: "k2", key: second.privateKey });
  assert.equal((await verify(rsa))?.sub, "s");
  assert.equal(calls(), 1);
});

Deno.test("createJwtVerifier() calls a key that a fresh key set lacks wrong at once", async () => {
  const { verify, calls, slept } = publish(() => Response.json(KEYS));
  assert.equal(await verify(await token({ kid: "x1" })), undefined);
  assert.deepEqual([calls(), slept()], [1, 0]);
});

Deno.test("createJwtVerifier() finds a key that was published within the cool-down", async () => {
  let keys = { keys: KEYS.keys.slice(1) };
  const { verify, calls, slept } = publish(() => Response.json(keys));
  assert.ok(await verify(await token({ alg: "RS256", kid: "k2", key: second.privateKey })));
  keys = KEYS;
  clock.passed += 300;
  assert.equal((await verify(await token()))?.sub, "s");
  assert.deepEqual([calls(), slept()], [2, 700]);
});

Deno.test("createJwtVerifier() finds a key after the cool-down without waiting", async () => {
  let keys = { keys: KEYS.keys.slice(1) };
  const { verify, calls, slept } = publish(() => Response.json(keys));
  assert.ok(await verify(await token({ alg: "RS256", kid: "k2", key: second.privateKey })));
  keys = KEYS;
  clock.passed += 1_000;
  assert.equal((await verify(await token()))?.sub, "s");
  assert.deepEqual([calls(), slept()], [2, 0]);
});

Deno.test("createJwtVerifier() looks unknown keys up once a second, all of them together", async () => {
  const { verify, calls, slept } = publish(() => Response.json(KEYS));
  assert.ok(await verify(await token()));
  const wrong = await Promise.all(["x1", "x2", "x3"].map((kid) => token({ kid })));
  assert.deepEqual(await Promise.all(wrong.map(verify)), [undefined, undefined, undefined]);
  assert.deepEqual([calls(), slept()], [2, 1_000]);
  for (const each of wrong) assert.equal(await verify(each), undefined);
  assert.deepEqual([calls(), slept()], [5, 4_000]);
});

Deno.test("createJwtVerifier() accepts a known key while an unknown one waits", async () => {
  let wake = () => {};
  const verify = createJwtVerifier({
    jwks: URL_OF_KEYS,
    now: () => NOW,
    fetch: () => Promise.resolve(Response.json(KEYS)),
    sleep: (ms) =>
      new Promise((resolve) => {
        wake = () => {
          clock.passed += ms;
          resolve();
        };
      }),
  });
  assert.ok(await verify(await token()));
  let ended = false;
  const unknown = verify(await token({ kid: "x1" })).finally(() => ended = true);
  assert.ok(await verify(await token()));
  assert.equal(ended, false);
  while (!ended) {
    wake();
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert.equal(await unknown, undefined);
});

Deno.test("createJwtVerifier() does not call a key wrong that it cannot look up", async () => {
  let down = false;
  const { verify } = publish(() =>
    down ? new Response("no", { status: 500 }) : Response.json(KEYS)
  );
  assert.ok(await verify(await token()));
  down = true;
  const unknown = await token({ kid: "x1" });
  await assert.rejects(verify(unknown), KeysUnavailable);
  await assert.rejects(verify(unknown), KeysUnavailable);
  assert.ok(await verify(await token()), "a known key needs no look");
});

for (
  const [what, respond] of [
    ["refuses", () => Promise.reject(new TypeError("connection refused"))],
    ["answers 500", () => new Response("no", { status: 500 })],
    ["answers HTML", () => new Response("<html>")],
    ["answers another JSON", () => Response.json({ error: "x" })],
  ] as const
) {
  Deno.test(`createJwtVerifier() calls no token wrong while the key server ${what}`, async () => {
    const { verify } = publish(respond);
    await assert.rejects(verify(await token()), KeysUnavailable);
  });
}

Deno.test("createJwtVerifier() fetches nothing for a token of another algorithm", async () => {
  const { verify, calls } = publish(() => Response.json(KEYS));
  const hs256 = await new SignJWT({}).setProtectedHeader({ alg: "HS256" })
    .sign(new Uint8Array(32));
  for (const bad of ["", "a.b", "a.b.c", "-", hs256]) assert.equal(await verify(bad), undefined);
  assert.equal(calls(), 0);
});

Deno.test("createJwtVerifier() takes HS256 by the secret beside the key set", async () => {
  const secret = "a-secret-of-at-least-thirty-two-bytes";
  const verify = createJwtVerifier({ jwks: KEYS, secret, now: () => NOW });
  const key = new TextEncoder().encode(secret);
  const right = await new SignJWT({ sub: "s" }).setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(NOW / 1000 + 600).sign(key);
  assert.equal((await verify(right))?.sub, "s");
  assert.equal((await verify(await token()))?.sub, "s");
  const hs512 = await new SignJWT({}).setProtectedHeader({ alg: "HS512" }).sign(new Uint8Array(64));
  assert.equal(await verify(hs512), undefined);
});

Deno.test("createJwtVerifier() refuses a token that never ends", async () => {
  const verify = createJwtVerifier({ jwks: KEYS, now: () => NOW });
  const endless = await new SignJWT({ sub: "s" }).setProtectedHeader({ alg: "ES256", kid: "k1" })
    .sign(first.privateKey);
  assert.equal(await verify(endless), undefined);
});

Deno.test("createJwtVerifier() bounds how long a token may live, from when it says it was issued", async () => {
  const verify = createJwtVerifier({ jwks: KEYS, now: () => NOW, maxLifetimeSeconds: 3_600 });
  const now = NOW / 1000;
  const issued = (iat: number | undefined, exp: number) => {
    const jwt = new SignJWT({ ...(iat === undefined ? {} : { iat }), exp })
      .setProtectedHeader({ alg: "ES256", kid: "k1" });
    return jwt.sign(first.privateKey);
  };
  assert.ok(await verify(await issued(now - 60, now + 3_500)));
  assert.equal(await verify(await issued(undefined, now + 60)), undefined, "it says no beginning");
  assert.equal(await verify(await issued(now - 3_700, now + 60)), undefined, "it is too old");
  assert.equal(await verify(await issued(now - 60, now + 3_600)), undefined, "it lives too long");
  assert.equal(
    await verify(await issued(now + 600, now + 900)),
    undefined,
    "it is from the future",
  );
});

Deno.test("createJwtVerifier() without any key accepts nothing", async () => {
  assert.equal(await createJwtVerifier({})(await token()), undefined);
});

Deno.test("createJwtVerifier() goes on with known keys for an hour while the server is down", async () => {
  let down = false;
  const verify = createJwtVerifier({
    jwks: URL_OF_KEYS,
    fetch: () => Promise.resolve(down ? new Response("no", { status: 500 }) : Response.json(KEYS)),
  });
  assert.ok(await verify(await token()));
  down = true;
  clock.passed += 11 * 60_000; // jose's cache has expired
  assert.ok(await verify(await token()));
  // It may be a key of the set that cannot be read.
  await assert.rejects(verify(await token({ kid: "x1" })), KeysUnavailable);
  clock.passed += 79 * 60_000;
  await assert.rejects(verify(await token()), KeysUnavailable);
});
