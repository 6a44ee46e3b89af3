import type { LogLevel } from "@logtape/logtape";
import type { JSONWebKeySet } from "jose";
import { z } from "zod";
import { ConfigError } from "./errors.ts";

/** The environment as data: what {@linkcode readEnvironment} reads, or a test's literal. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What every function needs. */
export interface CommonConfig {
  readonly supabaseUrl: URL;
  /** Every key that calls as service_role, the preferred one first; at least one. */
  readonly serviceKeys: readonly [string, ...string[]];
  /** The installation's only organization, lower case; undefined if it serves several. */
  readonly organizationId: string | undefined;
  readonly syncBudgetMs: number;
  readonly logLevel: LogLevel;
  /** What was repaired or looks unsafe; to be logged at start. */
  readonly warnings: readonly string[];
}

/** The configuration of receive-booking. */
export interface ReceiveBookingConfig extends CommonConfig {
  readonly webhookSecrets: readonly string[];
  readonly signingSecret: string | undefined;
  readonly inlineSyncLimit: number;
}

/** The configuration of headout-webhook; at least one credential is set. */
export interface HeadoutWebhookConfig extends CommonConfig {
  readonly webhookSecrets: readonly string[];
  readonly webhookKey: string | undefined;
  readonly jwksUrl: URL | undefined;
  readonly jwtSecret: string | undefined;
  readonly jwtIssuer: string | undefined;
  readonly jwtAudience: string | undefined;
  readonly inlineSyncLimit: number;
}

/** Where a source's API is and what opens it. */
export interface SourceConfig {
  readonly apiUrl: URL;
  readonly apiKey: string;
}

/** The configuration of import-bookings; at least one source is set. */
export interface ImportBookingsConfig extends CommonConfig {
  readonly jwks: JSONWebKeySet | undefined;
  readonly jwtSecret: string | undefined;
  readonly eventflow: SourceConfig | undefined;
  readonly headout: SourceConfig | undefined;
  readonly importBudgetMs: number;
}

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

/** Every variable: its schema, and in words what it must be. */
const VARIABLES = {
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
  WEBHOOK_SIGNING_SECRET: [base64Secret, "a Standard Webhooks secret, whsec_ and base64"],
  ORGANIZATION_ID: [z.guid().toLowerCase(), "a uuid"],
  EVENTFLOW_API_URL: [httpUrl, "an http(s) URL, or none and a HEADOUT_API_URL"],
  EVENTFLOW_API_KEY: [secret, "the key that EventFlow issued, or none and a HEADOUT_API_KEY"],
  HEADOUT_API_URL: [httpUrl, "an http(s) URL, such as https://www.headout.com"],
  HEADOUT_API_KEY: [secret, "the key that Headout issued, pk_… or tk_…"],
  HEADOUT_WEBHOOK_KEY: [secret, "one word of visible ASCII characters, 32 or more are advised"],
  HEADOUT_JWKS_URL: [safeUrl, "an https URL (http on this machine only)"],
  HEADOUT_JWT_SECRET: [z.string(), "the secret that HS256 tokens are signed with"],
  HEADOUT_JWT_ISSUER: [z.string(), "the `iss` of the tokens"],
  HEADOUT_JWT_AUDIENCE: [z.string(), "the `aud` of the tokens"],
  // A delivery's lease lasts 60 s, and its import must end before that.
  SYNC_BUDGET_MS: [milliseconds(100, 55_000), "whole milliseconds from 100 to 55000"],
  IMPORT_BUDGET_MS: [milliseconds(1_000, 145_000), "whole milliseconds from 1000 to 145000"],
  INLINE_SYNC_LIMIT: [milliseconds(0, 1_000), "a whole number from 0 to 1000"],
  LOG_LEVEL: [
    z.string().toLowerCase().transform((level) => level === "warn" ? "warning" : level)
      .pipe(z.enum(["trace", "debug", "info", "warning", "error", "fatal"])),
    "one of trace, debug, info, warning, error, fatal",
  ],
} as const;

type Name = keyof typeof VARIABLES;
type Value<N extends Name> = z.output<(typeof VARIABLES)[N][0]>;

/** The only place that reads `Deno.env` (design §1). */
export function readEnvironment(): Environment {
  return Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, Deno.env.get(name)]));
}

/** Loads a function's configuration, or prints every problem with it and exits 1 (design §8). */
export function loadOrExit<T>(load: (env: Environment) => T): T {
  try {
    return load(readEnvironment());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}

/** Throws {@linkcode ConfigError} naming every variable that is missing or malformed. */
export function loadReceiveBookingConfig(env: Environment): ReceiveBookingConfig {
  const reader = createReader("receive-booking", env);
  const secrets = [reader.need("WEBHOOK_SECRET"), reader.take("WEBHOOK_SECRET_PREVIOUS")];
  const config = {
    webhookSecrets: present(secrets),
    signingSecret: reader.take("WEBHOOK_SIGNING_SECRET"),
    inlineSyncLimit: reader.take("INLINE_SYNC_LIMIT") ?? 20,
    ...readCommon(reader),
  };
  return reader.finish(config);
}

/** Throws {@linkcode ConfigError}, also when no credential at all is configured (design §4.2). */
export function loadHeadoutWebhookConfig(env: Environment): HeadoutWebhookConfig {
  const reader = createReader("headout-webhook", env);
  const config = {
    webhookSecrets: present([
      reader.take("WEBHOOK_SECRET"),
      reader.take("WEBHOOK_SECRET_PREVIOUS"),
    ]),
    webhookKey: reader.take("HEADOUT_WEBHOOK_KEY"),
    jwksUrl: reader.take("HEADOUT_JWKS_URL"),
    jwtSecret: reader.take("HEADOUT_JWT_SECRET"),
    jwtIssuer: reader.take("HEADOUT_JWT_ISSUER"),
    jwtAudience: reader.take("HEADOUT_JWT_AUDIENCE"),
    inlineSyncLimit: reader.take("INLINE_SYNC_LIMIT") ?? 20,
    ...readCommon(reader),
  };
  const { webhookKey, jwksUrl, jwtSecret, webhookSecrets } = config;
  if (!webhookKey && !jwksUrl && !jwtSecret && webhookSecrets.length === 0) {
    reader.missOneOf([
      "HEADOUT_WEBHOOK_KEY",
      "HEADOUT_JWKS_URL",
      "HEADOUT_JWT_SECRET",
      "WEBHOOK_SECRET",
    ]);
  }
  if ((config.jwtSecret?.length ?? 32) < 32) {
    reader.warn("HEADOUT_JWT_SECRET is shorter than the 32 bytes of RFC 7518 §3.2");
  }
  return reader.finish(config);
}

/** Throws {@linkcode ConfigError}, also when no source or only half of one is configured. */
export function loadImportBookingsConfig(env: Environment): ImportBookingsConfig {
  const reader = createReader("import-bookings", env);
  const jwks = reader.take("SUPABASE_JWKS");
  const config = {
    jwks: jwks && jwks.keys.length > 0 ? jwks : undefined,
    jwtSecret: reader.take("SUPABASE_JWT_SECRET"),
    eventflow: readSource(reader, "EVENTFLOW_API_URL", "EVENTFLOW_API_KEY"),
    headout: readSource(reader, "HEADOUT_API_URL", "HEADOUT_API_KEY"),
    importBudgetMs: reader.take("IMPORT_BUDGET_MS") ?? 110_000,
    ...readCommon(reader),
  };
  if (!config.eventflow && !config.headout) {
    reader.need("EVENTFLOW_API_URL");
    reader.need("EVENTFLOW_API_KEY");
  }
  return reader.finish(config);
}

function readCommon(reader: Reader): Omit<CommonConfig, "warnings"> {
  const named = reader.take("SUPABASE_SECRET_KEYS") ?? {};
  const keys = present([
    reader.take("SUPABASE_SERVICE_ROLE_KEY"),
    named["default"],
    ...Object.values(named),
  ]);
  if (keys.length === 0) {
    reader.missOneOf(["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEYS"]);
  }
  return {
    supabaseUrl: reader.need("SUPABASE_URL"),
    serviceKeys: keys as [string, ...string[]],
    organizationId: reader.take("ORGANIZATION_ID"),
    syncBudgetMs: reader.take("SYNC_BUDGET_MS") ?? 20_000,
    logLevel: reader.take("LOG_LEVEL") ?? "info",
  };
}

function readSource(
  reader: Reader,
  urlName: "EVENTFLOW_API_URL" | "HEADOUT_API_URL",
  keyName: "EVENTFLOW_API_KEY" | "HEADOUT_API_KEY",
): SourceConfig | undefined {
  if (!reader.has(urlName) && !reader.has(keyName)) return undefined;
  return { apiUrl: reader.need(urlName), apiKey: reader.need(keyName) };
}

interface Reader {
  readonly has: (name: Name) => boolean;
  readonly take: <N extends Name>(name: N) => Value<N> | undefined;
  readonly need: <N extends Name>(name: N) => Value<N>;
  /** None of them gave a value; says so unless one was malformed. */
  readonly missOneOf: (names: readonly Name[]) => void;
  readonly warn: (warning: string) => void;
  readonly finish: <T>(config: T) => T & { readonly warnings: readonly string[] };
}

/** Collects problems instead of throwing at the first, so that one start shows all of them. */
function createReader(functionName: string, env: Environment): Reader {
  const problems = new Map<Name, string>();
  const warnings = new Set<string>();
  const textOf = (name: Name): string => (env[name] ?? "").trim();

  function take<N extends Name>(name: N): Value<N> | undefined {
    const text = textOf(name);
    if (text !== env[name] && text !== "") {
      warnings.add(`${name} had white space around it, which was dropped`); // incident 35
    }
    if (text === "") return undefined;
    const [schema, expected] = VARIABLES[name];
    const result = schema.safeParse(text);
    if (result.success) return result.data as Value<N>;
    problems.set(name, `malformed; expected ${expected}`);
    return undefined;
  }

  return {
    take,
    has: (name) => textOf(name) !== "",
    need<N extends Name>(name: N): Value<N> {
      const value = take(name);
      if (value === undefined && !problems.has(name)) {
        problems.set(name, `missing; expected ${VARIABLES[name][1]}`);
      }
      return value as Value<N>; // finish() throws if there is none
    },
    missOneOf(names) {
      if (names.some((name) => problems.has(name))) return;
      problems.set(names[0]!, `missing; set at least one of ${names.join(", ")}`);
    },
    warn: (warning) => void warnings.add(warning),
    finish(config) {
      if (problems.size === 0) return { ...config, warnings: [...warnings] };
      const lines = [...problems].map(([name, problem]) => `  ${name}: ${problem}`);
      throw new ConfigError(
        [
          `Cannot start ${functionName}: its configuration is incomplete or malformed.`,
          ...lines,
          "Set them with `supabase secrets set NAME=value` or in `.env`; `.env.example` explains each.",
        ].join("\n"),
        [...problems.keys()],
      );
    },
  };
}

function present(values: readonly (string | undefined)[]): readonly string[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}
