import assert from "node:assert/strict";
import { SignJWT } from "jose";
import { assertError, send } from "../support/answers.ts";
import { testBadInput } from "../support/bad_input.ts";
import { allRows } from "../support/rows.ts";
import { useStack } from "../support/stack.ts";

const stackTest = useStack();

testBadInput(stackTest, {
  name: "import-bookings",
  keeps: false,
  path: () => "import-bookings",
  headers: ({ keys }) => ({ authorization: `Bearer ${keys.serviceRoleKey}` }),
  valid: (organization_id) => ({ syncMode: "single", booking_id: "17", organization_id }),
  refused: {
    "a call without a credential": () => ({}),
    "a wrong bearer": ({ keys }) => ({
      headers: { authorization: `Bearer ${keys.serviceRoleKey}x` },
    }),
    "a wrong apikey": () => ({ headers: { apikey: "sb_secret_wrong" } }),
    "the anon key": ({ keys }) => ({
      headers: { authorization: `Bearer ${keys.anonKey}`, apikey: keys.anonKey },
    }),
    "the publishable key": ({ keys }) => ({ headers: { apikey: keys.publishableKey } }),
    "the webhook secret": ({ keys }) => ({ headers: { "x-api-key": keys.webhookSecret } }),
    "the service role key in x-api-key": ({ keys }) => ({
      headers: { "x-api-key": keys.serviceRoleKey },
    }),
    "the service role key in the URL": ({ keys }) => ({
      path: `import-bookings?apikey=${keys.secretKey}&key=${keys.secretKey}`,
    }),
  },
});

const wrong: Readonly<Record<string, readonly [Record<string, unknown>, string]>> = {
  "no booking_id": [{ booking_id: undefined }, "booking_id"],
  "an empty booking_id": [{ booking_id: "" }, "booking_id"],
  "a list for booking_id": [{ booking_id: ["17"] }, "booking_id"],
  "an unknown source": [{ source: "gmail" }, "source"],
  "an organization_id that is no uuid": [{ organization_id: "Demo" }, "organization_id"],
  "no organization_id": [{ organization_id: undefined }, "organization_id"],
  "an organization that does not exist": [
    { organization_id: crypto.randomUUID(), booking_id: "e7f10000-5eed-4000-8000-000000000001" },
    "organization_id",
  ],
  "a delivery_id that is no uuid": [{ delivery_id: 7 }, "delivery_id"],
  "a lease_token that is no uuid": [{ lease_token: "x" }, "lease_token"],
  "a string for dry_run": [{ dry_run: "true" }, "dry_run"],
  "a number for force": [{ force: 1 }, "force"],
  "a dry run of a delivery": [{ dry_run: true, delivery_id: crypto.randomUUID() }, "dry_run"],
  "an unknown syncMode": [{ syncMode: "everything" }, "syncMode"],
  "a number for syncMode": [{ syncMode: 1 }, "syncMode"],
};
for (const [kind, [fields, field]] of Object.entries(wrong)) {
  stackTest(
    `import-bookings answers ${kind} 400 invalid_body, and writes no row`,
    async (stack) => {
      const organization_id = await stack.organization();
      const before = await allRows(stack.database);
      const body = { syncMode: "single", booking_id: "17", organization_id, ...fields };
      const answer = await stack.postImport(body);
      assertError(answer, { status: 400, code: "invalid_body", fields: [field] });
      assert.deepEqual(await allRows(stack.database), before);
    },
  );
}

const text = (secret: string) => new TextEncoder().encode(secret);
const jwts: Readonly<Record<string, (secret: string) => Promise<string>>> = {
  "an expired service_role JWT": (secret) => sign(secret, { expires: -60 }),
  "a not yet valid service_role JWT": (secret) => sign(secret, { notBefore: 60 }),
  "a JWT of another role": (secret) => sign(secret, { role: "authenticated" }),
  "a JWT without a role": (secret) => sign(secret, {}, {}),
  "a service_role JWT of another secret": () => sign("another-secret-of-32-characters-or-more", {}),
  "an alg none service_role JWT": () =>
    Promise.resolve(
      `${encode({ alg: "none", typ: "JWT" })}.${
        encode({ role: "service_role", exp: Math.floor(Date.now() / 1000) + 600 })
      }.`,
    ),
};
for (const [kind, make] of Object.entries(jwts)) {
  stackTest(`import-bookings answers ${kind} 401, and writes no row`, async (stack) => {
    const token = await make(stack.keys.jwtSecret);
    const organization_id = await stack.organization();
    const before = await allRows(stack.database);
    for (const headers of [{ authorization: `Bearer ${token}` }, { apikey: token }]) {
      const answer = await send(`${stack.url}/functions/v1/import-bookings`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers } as Record<string, string>,
        body: JSON.stringify({ booking_id: "17", organization_id }),
      });
      assertError(answer, { status: 401, code: "unauthorized", fields: [] });
    }
    assert.deepEqual(await allRows(stack.database), before);
  });
}

stackTest(
  "import-bookings lets a verified service_role JWT and every secret key on",
  async (stack) => {
    const { keys } = stack;
    const organization_id = await stack.organization();
    const jwt = await sign(keys.jwtSecret, {});
    const rights: readonly Readonly<Record<string, string>>[] = [
      { authorization: `Bearer ${jwt}` },
      { authorization: `bearer ${keys.serviceRoleKey}` },
      { apikey: keys.serviceRoleKey },
      { authorization: `Bearer ${keys.secretKey}` },
      { apikey: keys.secretKey },
      { apikey: keys.secretKey, authorization: `Bearer ${keys.anonKey}` },
    ];
    for (const headers of rights) {
      const answer = await stack.post(
        "import-bookings",
        { booking_id: crypto.randomUUID(), organization_id },
        headers,
      );
      assertError(answer, { status: 404, code: "booking_not_found" });
    }
  },
);

function sign(
  secret: string,
  times: { readonly expires?: number; readonly notBefore?: number; readonly role?: string },
  claims: Record<string, unknown> = { role: times.role ?? "service_role" },
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setIssuedAt(now - 5)
    .setNotBefore(now + (times.notBefore ?? -5)).setExpirationTime(now + (times.expires ?? 600))
    .sign(text(secret));
}

function encode(part: unknown): string {
  return btoa(JSON.stringify(part)).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
}
