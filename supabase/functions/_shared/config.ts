import type { LogLevel } from "@logtape/logtape";
import type { JSONWebKeySet } from "jose";
import { type ConfigReader, createReader, type Environment } from "./config/reader.ts";
import { VARIABLES } from "./config/variables.ts";
import { ConfigError } from "./errors.ts";

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
  /** The current one and, during a rotation, the previous one. */
  readonly signingSecrets: readonly string[];
  readonly inlineSyncLimit: number;
}

/** The configuration of headout-webhook; at least one credential is set. */
export interface HeadoutWebhookConfig extends CommonConfig {
  readonly webhookKey: string | undefined;
  readonly jwksUrl: URL | undefined;
  readonly jwtSecret: string | undefined;
  readonly jwtIssuer: string | undefined;
  readonly jwtAudience: string | undefined;
  readonly inlineSyncLimit: number;
}

/** Where a source's API is, and its key. */
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
  /** Bookings per page of EventFlow's. */
  readonly eventflowPageSize: number;
  /** Least time between two requests to Headout, in milliseconds. */
  readonly headoutIntervalMs: number;
  readonly importBudgetMs: number;
  /** CPU that a request may use for runs; undefined for no limit. */
  readonly importCpuMs: number | undefined;
}

/** The environment. This is the only place that reads `Deno.env`. */
export function readEnvironment(): Environment {
  return Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, Deno.env.get(name)]));
}

/** Loads the configuration of a function, or prints every problem with it and exits with 1. */
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
    signingSecrets: present([
      reader.take("WEBHOOK_SIGNING_SECRET"),
      reader.take("WEBHOOK_SIGNING_SECRET_PREVIOUS"),
    ]),
    inlineSyncLimit: reader.take("INLINE_SYNC_LIMIT") ?? 8,
    ...readCommon(reader),
  };
  return reader.finish(config);
}

/** Throws {@linkcode ConfigError}, also if no credential at all is configured. */
export function loadHeadoutWebhookConfig(env: Environment): HeadoutWebhookConfig {
  const reader = createReader("headout-webhook", env);
  const jwksUrl = reader.take("HEADOUT_JWKS_URL");
  // An auth service signs tokens for many: without these any of them would open the webhook.
  const named = jwksUrl === undefined ? reader.take : reader.need;
  const config = {
    webhookKey: reader.take("HEADOUT_WEBHOOK_KEY"),
    jwksUrl,
    jwtSecret: reader.take("HEADOUT_JWT_SECRET"),
    jwtIssuer: named("HEADOUT_JWT_ISSUER"),
    jwtAudience: named("HEADOUT_JWT_AUDIENCE"),
    inlineSyncLimit: reader.take("INLINE_SYNC_LIMIT") ?? 8,
    ...readCommon(reader),
  };
  const { webhookKey, jwtSecret } = config;
  if (!webhookKey && !jwksUrl && !jwtSecret) {
    reader.missOneOf(["HEADOUT_WEBHOOK_KEY", "HEADOUT_JWKS_URL", "HEADOUT_JWT_SECRET"]);
  }
  // Either of them ends a value in a URL. White space has been ruled out already.
  if (/[&#]/.test(config.webhookKey ?? "")) {
    reader.warn("HEADOUT_WEBHOOK_KEY has a & or #: percent-encode it in the URL given to Headout");
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
    eventflowPageSize: reader.take("EVENTFLOW_PAGE_SIZE") ?? 500,
    headoutIntervalMs: 60_000 / (reader.take("HEADOUT_REQUESTS_PER_MINUTE") ?? 85),
    importBudgetMs: reader.take("IMPORT_BUDGET_MS") ?? 110_000,
    importCpuMs: (reader.take("IMPORT_CPU_MS") ?? 1_500) || undefined,
    ...readCommon(reader),
  };
  if (!config.eventflow && !config.headout) {
    reader.need("EVENTFLOW_API_URL");
    reader.need("EVENTFLOW_API_KEY");
  }
  return reader.finish(config);
}

function readCommon(reader: ConfigReader): Omit<CommonConfig, "warnings"> {
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
  reader: ConfigReader,
  urlName: "EVENTFLOW_API_URL" | "HEADOUT_API_URL",
  keyName: "EVENTFLOW_API_KEY" | "HEADOUT_API_KEY",
): SourceConfig | undefined {
  if (!reader.has(urlName) && !reader.has(keyName)) return undefined;
  return { apiUrl: reader.need(urlName), apiKey: reader.need(keyName) };
}

function present(values: readonly (string | undefined)[]): readonly string[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}
