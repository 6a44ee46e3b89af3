import assert from "node:assert/strict";
import type { Environment } from "./config/reader.ts";
import {
  loadHeadoutWebhookConfig,
  loadImportBookingsConfig,
  loadReceiveBookingConfig,
} from "./config.ts";
import { ConfigError } from "./errors.ts";
import { ORGANIZATION } from "./testing.ts";

/** An environment that every function starts with; a test breaks one thing. */
const GOOD: Environment = {
  SUPABASE_URL: "http://127.0.0.1:54321",
  SUPABASE_SERVICE_ROLE_KEY: "service-role-key",
  WEBHOOK_SECRET: "webhook-secret",
  HEADOUT_WEBHOOK_KEY: "webhook-key",
  EVENTFLOW_API_URL: "https://eventflow.test/functions/v1",
  EVENTFLOW_API_KEY: "ef-key",
  HEADOUT_API_URL: "https://www.sandbox-headout.com",
  HEADOUT_API_KEY: "tk_1",
};

function problemOf(load: (env: Environment) => unknown, changes: Environment): ConfigError {
  try {
    load({ ...GOOD, ...changes });
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "it started" });
}

Deno.test("loadReceiveBookingConfig() has defaults", () => {
  const config = loadReceiveBookingConfig(GOOD);
  assert.equal(config.syncBudgetMs, 20_000);
  assert.equal(config.inlineSyncLimit, 8);
  assert.equal(config.logLevel, "info");
  assert.equal(config.organizationId, undefined);
  assert.deepEqual(config.webhookSecrets, ["webhook-secret"]);
  assert.deepEqual(config.warnings, []);
  assert.equal(loadImportBookingsConfig(GOOD).importBudgetMs, 110_000);
});

Deno.test("loadReceiveBookingConfig() trims values and says so without showing them", () => {
  const config = loadReceiveBookingConfig({ ...GOOD, WEBHOOK_SECRET: " webhook-secret\r\n" });
  assert.deepEqual(config.webhookSecrets, ["webhook-secret"]);
  assert.equal(config.warnings.length, 1);
  assert.match(config.warnings[0]!, /WEBHOOK_SECRET/);
  assert.doesNotMatch(config.warnings[0]!, /webhook-secret/);
});

Deno.test("loadReceiveBookingConfig() accepts both secrets of a rotation", () => {
  const config = loadReceiveBookingConfig({ ...GOOD, WEBHOOK_SECRET_PREVIOUS: "old" });
  assert.deepEqual(config.webhookSecrets, ["webhook-secret", "old"]);
});

Deno.test("loadReceiveBookingConfig() names all problems at once, never a value", () => {
  const error = problemOf(loadReceiveBookingConfig, {
    SUPABASE_URL: "not-a-url-but-private",
    WEBHOOK_SECRET: "  ",
    SYNC_BUDGET_MS: "20s",
  });
  assert.deepEqual([...error.variables].sort(), [
    "SUPABASE_URL",
    "SYNC_BUDGET_MS",
    "WEBHOOK_SECRET",
  ]);
  for (const name of error.variables) assert.match(error.message, new RegExp(`${name}: m`));
  assert.match(error.message, /receive-booking/);
  assert.match(error.message, /supabase secrets set/);
  assert.doesNotMatch(error.message, /private|20s/);
});

const MALFORMED: readonly (readonly [string, string])[] = [
  ["SUPABASE_URL", "ftp://x"],
  ["SUPABASE_SECRET_KEYS", "sb_secret_1"],
  ["SUPABASE_SECRET_KEYS", '["sb_secret_1"]'],
  ["ORGANIZATION_ID", "main"],
  ["WEBHOOK_SECRET", "two words"],
  ["WEBHOOK_SECRET", "hemligheten-på-svenska"],
  ["WEBHOOK_SIGNING_SECRET", "whsec_%%%"],
  ["WEBHOOK_SIGNING_SECRET", "whsec_"],
  ["SYNC_BUDGET_MS", "0"],
  ["SYNC_BUDGET_MS", "60000"],
  ["SYNC_BUDGET_MS", "1e3"],
  ["INLINE_SYNC_LIMIT", "-1"],
  ["LOG_LEVEL", "verbose"],
];

for (const size of ["0", "30", "520", "all"]) {
  Deno.test(`loadImportBookingsConfig() refuses EVENTFLOW_PAGE_SIZE=${size}`, () => {
    const error = problemOf(loadImportBookingsConfig, { EVENTFLOW_PAGE_SIZE: size });
    assert.deepEqual(error.variables, ["EVENTFLOW_PAGE_SIZE"]);
  });
}

for (const [name, value] of MALFORMED) {
  Deno.test(`loadReceiveBookingConfig() refuses ${name}=${value}`, () => {
    const error = problemOf(loadReceiveBookingConfig, { [name]: value });
    assert.deepEqual(error.variables, [name]);
  });
}

Deno.test("loadReceiveBookingConfig() takes the keys of SUPABASE_SECRET_KEYS, default first", () => {
  const keys = { SUPABASE_SECRET_KEYS: '{"ci":"sb_secret_2","default":"sb_secret_1"}' };
  const alone = loadReceiveBookingConfig({ ...GOOD, ...keys, SUPABASE_SERVICE_ROLE_KEY: "" });
  assert.deepEqual(alone.serviceKeys, ["sb_secret_1", "sb_secret_2"]);
  const both = loadReceiveBookingConfig({ ...GOOD, ...keys });
  assert.deepEqual(both.serviceKeys, ["service-role-key", "sb_secret_1", "sb_secret_2"]);
  const none = { SUPABASE_SERVICE_ROLE_KEY: undefined, SUPABASE_SECRET_KEYS: "{}" };
  assert.match(problemOf(loadReceiveBookingConfig, none).message, /SUPABASE_SECRET_KEYS/);
});

Deno.test("loadReceiveBookingConfig() takes any uuid in any case", () => {
  const config = loadReceiveBookingConfig({ ...GOOD, ORGANIZATION_ID: ORGANIZATION.toUpperCase() });
  assert.equal(config.organizationId, ORGANIZATION);
  const plain = { ...GOOD, ORGANIZATION_ID: "11111111-1111-1111-1111-111111111111" };
  assert.ok(loadReceiveBookingConfig(plain).organizationId);
});

Deno.test("loadHeadoutWebhookConfig() does not start without any credential", () => {
  const none = { HEADOUT_WEBHOOK_KEY: undefined, WEBHOOK_SECRET: undefined };
  const error = problemOf(loadHeadoutWebhookConfig, none);
  for (const name of ["HEADOUT_WEBHOOK_KEY", "HEADOUT_JWKS_URL", "HEADOUT_JWT_SECRET"]) {
    assert.match(error.message, new RegExp(name));
  }
});

Deno.test("loadHeadoutWebhookConfig() fetches keys over https only, but from this machine", () => {
  const load = loadHeadoutWebhookConfig;
  const named = { HEADOUT_JWT_ISSUER: "https://auth.etera.dev", HEADOUT_JWT_AUDIENCE: "headout" };
  for (
    const url of ["https://auth.etera.dev/jwks", "http://127.0.0.1:9/jwks", "http://localhost/j"]
  ) {
    assert.equal(load({ ...GOOD, ...named, HEADOUT_JWKS_URL: url }).jwksUrl?.href, url);
  }
  const error = problemOf(load, { ...named, HEADOUT_JWKS_URL: "http://auth.etera.dev/jwks" });
  assert.deepEqual(error.variables, ["HEADOUT_JWKS_URL"]);
});

Deno.test("loadHeadoutWebhookConfig() takes no key set without the issuer and the audience of its tokens", () => {
  const error = problemOf(loadHeadoutWebhookConfig, {
    HEADOUT_JWKS_URL: "https://auth.etera.dev/jwks",
  });
  assert.deepEqual(error.variables, ["HEADOUT_JWT_ISSUER", "HEADOUT_JWT_AUDIENCE"]);
});

Deno.test("loadHeadoutWebhookConfig() warns of a key that must be encoded in a URL", () => {
  for (const key of ["a&b", "a#b"]) {
    const { warnings, webhookKey } = loadHeadoutWebhookConfig({
      ...GOOD,
      HEADOUT_WEBHOOK_KEY: key,
    });
    assert.equal(webhookKey, key);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /HEADOUT_WEBHOOK_KEY.*percent-encode/);
    assert.ok(!warnings[0]!.includes(key));
  }
  const good = { ...GOOD, HEADOUT_WEBHOOK_KEY: "a+b/c%d==" };
  assert.deepEqual(loadHeadoutWebhookConfig(good).warnings, []);
});

Deno.test("loadHeadoutWebhookConfig() warns of a short JWT secret", () => {
  const config = loadHeadoutWebhookConfig({ ...GOOD, HEADOUT_JWT_SECRET: "short" });
  assert.match(config.warnings.join(), /HEADOUT_JWT_SECRET/);
});

Deno.test("loadImportBookingsConfig() refuses half a source and no source", () => {
  const half = problemOf(loadImportBookingsConfig, { HEADOUT_API_KEY: undefined });
  assert.deepEqual(half.variables, ["HEADOUT_API_KEY"]);
  const none = problemOf(loadImportBookingsConfig, {
    EVENTFLOW_API_URL: undefined,
    EVENTFLOW_API_KEY: undefined,
    HEADOUT_API_URL: undefined,
    HEADOUT_API_KEY: undefined,
  });
  assert.deepEqual(none.variables, ["EVENTFLOW_API_URL", "EVENTFLOW_API_KEY"]);
  assert.match(none.message, /HEADOUT_API_KEY/);
});

Deno.test("loadImportBookingsConfig() starts with one source", () => {
  const config = loadImportBookingsConfig({ ...GOOD, HEADOUT_API_URL: "", HEADOUT_API_KEY: "" });
  assert.equal(config.headout, undefined);
  assert.equal(config.eventflow?.apiKey, "ef-key");
});

Deno.test("loadImportBookingsConfig() takes both forms of SUPABASE_JWKS, and an empty one as none", () => {
  const key = { kty: "EC", kid: "k1" };
  for (const form of [{ keys: [key] }, [key]]) {
    const config = loadImportBookingsConfig({ ...GOOD, SUPABASE_JWKS: JSON.stringify(form) });
    assert.deepEqual(config.jwks, { keys: [key] });
  }
  const empty = loadImportBookingsConfig({ ...GOOD, SUPABASE_JWKS: '{"keys":[]}' });
  assert.equal(empty.jwks, undefined);
});

Deno.test(".env.example documents every variable and nothing else", async () => {
  const text = await Deno.readTextFile(new URL("../../../.env.example", import.meta.url));
  const source = await Deno.readTextFile(new URL("./config/variables.ts", import.meta.url));
  const documented = [...text.matchAll(/^#? ?([A-Z][A-Z_]+)=/gm)].map((match) => match[1]);
  const read = [...source.matchAll(/^ {2}([A-Z][A-Z_]+): \[/gm)].map((match) => match[1]);
  assert.ok(read.length > 15);
  assert.deepEqual(documented.sort(), read.sort());
});
