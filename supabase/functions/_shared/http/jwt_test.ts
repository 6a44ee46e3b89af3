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
  return new SignJWT({ sub: "s" }).setProtectedHeader({ alg, kid }).sign(key);
}

/** A key set behind a fetch that counts and can fail. */
function publish(respond: () => Response | Promise<Response>) {
  let calls = 0;
  const verify = createJwtVerifier({
    jwks: URL_OF_KEYS,
    now: () => NOW,
    fetch: () => {
      calls += 1;
      return Promise.resolve(respond());
    },
  });
  return { verify, calls: () => calls };
}

Deno.test("createJwtVerifier() fetches the keys once and then knows them", async () => {
  const { verify, calls } = publish(() => Response.json(KEYS));
  assert.equal((await verify(await token()))?.sub, "s");
  const rsa = await token({ alg: "RS256", kid: "k2", key: second.privateKey });
  assert.equal((await verify(rsa))?.sub, "s");
  assert.equal(calls(), 1);
});

Deno.test("createJwtVerifier() does not fetch again for every unknown key", async () => {
  const { verify, calls } = publish(() => Response.json(KEYS));
  for (const kid of ["x1", "x2", "x3"]) assert.equal(await verify(await token({ kid })), undefined);
  assert.equal(calls(), 1); // the cool-down
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

Deno.test("createJwtVerifier() fetches nothing for what is no token of a listed algorithm", async () => {
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
  const right = await new SignJWT({ sub: "s" }).setProtectedHeader({ alg: "HS256" }).sign(key);
  assert.equal((await verify(right))?.sub, "s");
  assert.equal((await verify(await token()))?.sub, "s");
  const hs512 = await new SignJWT({}).setProtectedHeader({ alg: "HS512" }).sign(new Uint8Array(64));
  assert.equal(await verify(hs512), undefined);
});

Deno.test("createJwtVerifier() without any key accepts nothing", async () => {
  assert.equal(await createJwtVerifier({})(await token()), undefined);
});

Deno.test("createJwtVerifier() goes on with known keys for an hour while the server is down", async () => {
  let down = false;
  const realNow = Date.now;
  const start = realNow();
  const verify = createJwtVerifier({
    jwks: URL_OF_KEYS,
    fetch: () => Promise.resolve(down ? new Response("no", { status: 500 }) : Response.json(KEYS)),
  });
  try {
    assert.ok(await verify(await token()));
    down = true;
    Date.now = () => start + 11 * 60_000; // jose's cache has ended
    assert.ok(await verify(await token()));
    assert.equal(await verify(await token({ kid: "x1" })), undefined);
    Date.now = () => start + 90 * 60_000;
    await assert.rejects(verify(await token()), KeysUnavailable);
  } finally {
    Date.now = realNow;
  }
});
