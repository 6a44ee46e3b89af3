import assert from "node:assert/strict";
import { assertError, bodyOf } from "../support/answers.ts";
import {
  audience,
  type Claims,
  issuer,
  serveKeySet,
  signShared,
  unsigned,
} from "../support/key_set.ts";
import { allRows, gained } from "../support/rows.ts";
import { type Answer, type TestStack, useStack } from "../support/stack.ts";

const secret = "a-shared-secret-of-more-than-32-characters";
const keys = await serveKeySet();
const stackTest = useStack({
  environment: {
    HEADOUT_JWKS_URL: keys.url,
    HEADOUT_JWT_SECRET: secret,
    HEADOUT_JWT_ISSUER: issuer,
    HEADOUT_JWT_AUDIENCE: audience,
  },
});
Deno.test.afterAll(() => keys.stop());

let next = 1;

function present(stack: TestStack, organizationId: string, token: string): Promise<Answer> {
  return stack.post(
    `headout-webhook?organization_id=${organizationId}`,
    { bookingId: next++, status: "COMPLETED", eventTimestamp: "2024-01-15T10:30:00" },
    { authorization: `Bearer ${token}` },
  );
}

const signers: Readonly<Record<string, (claims?: Claims) => Promise<string>>> = {
  "the key set": (claims) => keys.sign(claims),
  "the shared secret": (claims) => signShared(secret, claims),
};

for (const [by, sign] of Object.entries(signers)) {
  stackTest(`headout-webhook lets a JWT of ${by} on`, async (stack) => {
    const organizationId = await stack.organization();
    const answer = bodyOf(await present(stack, organizationId, await sign()));
    assert.equal(answer.outcome, "stub_created");
  });

  stackTest(`headout-webhook allows 30 s of clock difference for a JWT of ${by}`, async (stack) => {
    const organizationId = await stack.organization();
    for (const times of [{ expires: -10 }, { notBefore: 10 }]) {
      bodyOf(await present(stack, organizationId, await sign(times)));
    }
  });

  const broken: Readonly<Record<string, Claims>> = {
    "an expired JWT": { expires: -60 },
    "a not yet valid JWT": { notBefore: 90 },
    "a JWT of another issuer": { issuer: "https://evil.example.test/" },
    "a JWT without an issuer": { issuer: null },
    "a JWT for another audience": { audience: "another-service" },
    "a JWT without an audience": { audience: null },
  };
  for (const [kind, claims] of Object.entries(broken)) {
    stackTest(`headout-webhook answers ${kind} of ${by} 401, and writes no row`, async (stack) => {
      await assertRefused(stack, await sign(claims));
    });
  }
}

const forged: Readonly<Record<string, () => Promise<string> | string>> = {
  "an alg none JWT": () => unsigned(),
  "an alg None JWT": () => unsigned({}, "None"),
  "a JWT whose key is not in the set": () => keys.forge(),
  "a JWT signed with the public key as a secret": () => keys.confuse(),
  "a JWT of another secret": () => signShared("another-secret-of-more-than-32-characters"),
  "a JWT with its payload exchanged": async () => {
    const [header, , signature] = (await keys.sign()).split(".");
    return `${header}.${unsigned({ claims: { sub: "me" } }).split(".")[1]}.${signature}`;
  },
  "a JWT without its signature": async () => (await keys.sign()).replace(/[^.]*$/, ""),
  "what is no JWT": () => "abc.def.ghi",
};
for (const [kind, make] of Object.entries(forged)) {
  stackTest(`headout-webhook answers ${kind} 401, and writes no row`, async (stack) => {
    await assertRefused(stack, await make());
  });
}

stackTest("headout-webhook lets the right key in the URL on whatever the JWT is", async (stack) => {
  const organizationId = await stack.organization();
  const query = `key=${stack.keys.headoutWebhookKey}&organization_id=${organizationId}`;
  const answer = await stack.post(
    `headout-webhook?${query}`,
    { bookingId: next++, status: "PENDING", eventTimestamp: "2024-01-15T10:30:00" },
    { authorization: `Bearer ${unsigned()}` },
  );
  assert.equal(bodyOf(answer).outcome, "stub_created");
});

stackTest("headout-webhook fetches the key set once, not with each call", async (stack) => {
  const organizationId = await stack.organization();
  bodyOf(await present(stack, organizationId, await keys.sign()));
  const before = keys.fetches();
  for (let call = 0; call < 5; call++) {
    bodyOf(await present(stack, organizationId, await keys.sign()));
  }
  assert.equal(keys.fetches(), before);
});

// Last: the function's process starts anew and has not seen the key set.
stackTest(
  "headout-webhook answers 503 while the key set is unreachable, and never 401",
  async (stack) => {
    const organizationId = await stack.organization();
    keys.break(true);
    try {
      await stack.functions.get("headout-webhook")?.restart();
      const before = await allRows(stack.database);
      const answer = await present(stack, organizationId, await keys.sign());
      assertError(answer, { status: 503, code: "keys_unavailable", retryAfter: true });
      assert.deepEqual(gained(before, await allRows(stack.database)), {});
    } finally {
      keys.break(false);
    }
    bodyOf(await present(stack, organizationId, await keys.sign()));
  },
);

async function assertRefused(stack: TestStack, token: string): Promise<void> {
  const organizationId = await stack.organization();
  const before = await allRows(stack.database);
  const answer = await present(stack, organizationId, token);
  assertError(answer, { status: 401, code: "unauthorized", fields: [] });
  assert.deepEqual(gained(before, await allRows(stack.database)), {});
}
