import { z } from "zod";

const httpUrl = z.url({ protocol: /^https?$/ }).transform((text) => new URL(text));
const safeUrl = httpUrl.refine((url) =>
  url.protocol === "https:" || /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname)
);
// A secret arrives in a header or a URL, so only visible ASCII can ever match.
const secret = z.string().regex(/^[\x21-\x7e]+$/);
const base64Secret = z.string().regex(
  /^(whsec_)?(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
);
const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue("not JSON");
    return z.NEVER;
  }
});
const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

function milliseconds(minimum: number, maximum: number) {
  return z.string().regex(/^\d{1,9}$/).transform(Number).pipe(z.int().min(minimum).max(maximum));
}

/** Every variable that is read: its schema, and what it must be in words. */
export const VARIABLES = {
  SUPABASE_URL: [httpUrl, "the project's http(s) URL"],
  SUPABASE_SERVICE_ROLE_KEY: [secret, "the service_role key (or set SUPABASE_SECRET_KEYS)"],
  SUPABASE_SECRET_KEYS: [
    json.pipe(z.record(z.string(), secret)),
    'a JSON object of name to key, such as {"default":"sb_secret_…"}',
  ],
  SUPABASE_JWKS: [
    json.pipe(z.union([keySet, keySet.shape.keys.transform((keys) => ({ keys }))])),
    'a JSON Web Key Set, such as {"keys":[…]}',
  ],
  SUPABASE_JWT_SECRET: [z.string(), "the project's legacy JWT secret"],
  WEBHOOK_SECRET: [secret, "one word of visible ASCII characters, 32 or more are advised"],
  WEBHOOK_SECRET_PREVIOUS: [secret, "the secret that WEBHOOK_SECRET has replaced"],
  WEBHOOK_SIGNING_SECRET_PREVIOUS: [
    base64Secret,
    "a Standard Webhooks secret, whsec_ and base64",
  ],
  WEBHOOK_SIGNING_SECRET: [base64Secret, "a Standard Webhooks secret, whsec_ and base64"],
  ORGANIZATION_ID: [z.guid().toLowerCase(), "a uuid"],
  EVENTFLOW_API_URL: [httpUrl, "an http(s) URL, or none and a HEADOUT_API_URL"],
  EVENTFLOW_API_KEY: [secret, "the key that EventFlow issued, or none and a HEADOUT_API_KEY"],
  HEADOUT_API_URL: [httpUrl, "an http(s) URL, such as https://www.headout.com"],
  HEADOUT_API_KEY: [secret, "the key that Headout issued, pk_… or tk_…"],
  // Rows before a page are read again with it, 20 of them, so a page is a multiple of that.
  EVENTFLOW_PAGE_SIZE: [
    milliseconds(20, 500).refine((size) => size % 20 === 0),
    "a multiple of 20 from 20 to 500",
  ],
  HEADOUT_REQUESTS_PER_MINUTE: [milliseconds(1, 60_000), "a whole number from 1 to 60000"],
  HEADOUT_WEBHOOK_KEY: [secret, "one word of visible ASCII characters, 32 or more are advised"],
  HEADOUT_JWKS_URL: [safeUrl, "an https URL (http on this machine only)"],
  HEADOUT_JWT_SECRET: [z.string(), "the secret that HS256 tokens are signed with"],
  HEADOUT_JWT_ISSUER: [z.string(), "the `iss` of the tokens; needed with HEADOUT_JWKS_URL"],
  HEADOUT_JWT_AUDIENCE: [z.string(), "the `aud` of the tokens; needed with HEADOUT_JWKS_URL"],
  // A delivery's lease lasts 60 s, and its import must end before that.
  SYNC_BUDGET_MS: [milliseconds(100, 55_000), "whole milliseconds from 100 to 55000"],
  IMPORT_BUDGET_MS: [milliseconds(1_000, 145_000), "whole milliseconds from 1000 to 145000"],
  // The platform ends a request at 2 s of CPU.
  IMPORT_CPU_MS: [milliseconds(0, 600_000), "whole milliseconds from 0 (no limit) to 600000"],
  INLINE_SYNC_LIMIT: [milliseconds(0, 1_000), "a whole number from 0 to 1000"],
  LOG_LEVEL: [
    z.string().toLowerCase().transform((level) => level === "warn" ? "warning" : level)
      .pipe(z.enum(["trace", "debug", "info", "warning", "error", "fatal"])),
    "one of trace, debug, info, warning, error, fatal",
  ],
} as const;

/** The name of a variable that is read. */
export type VariableName = keyof typeof VARIABLES;

/** The type of a variable once it has been read. */
export type VariableValue<N extends VariableName> = z.output<(typeof VARIABLES)[N][0]>;
