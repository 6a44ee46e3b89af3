import type { LocalKeys } from "./keys.ts";

/** The variables of the functions: `start` passes these on from its environment, and no others. */
export const functionVariables = [
  "SUPABASE_URL",
  "SUPABASE_SERVICE_ROLE_KEY",
  "SUPABASE_SECRET_KEYS",
  "SUPABASE_JWKS",
  "SUPABASE_JWT_SECRET",
  "WEBHOOK_SECRET",
  "WEBHOOK_SECRET_PREVIOUS",
  "WEBHOOK_SIGNING_SECRET",
  "WEBHOOK_SIGNING_SECRET_PREVIOUS",
  "ORGANIZATION_ID",
  "EVENTFLOW_API_URL",
  "EVENTFLOW_API_KEY",
  "HEADOUT_API_URL",
  "HEADOUT_API_KEY",
  "EVENTFLOW_PAGE_SIZE",
  "HEADOUT_REQUESTS_PER_MINUTE",
  "HEADOUT_WEBHOOK_KEY",
  "HEADOUT_JWKS_URL",
  "HEADOUT_JWT_ISSUER",
  "HEADOUT_JWT_AUDIENCE",
  "HEADOUT_JWT_SECRET",
  "SYNC_BUDGET_MS",
  "IMPORT_BUDGET_MS",
  "IMPORT_CPU_MS",
  "INLINE_SYNC_LIMIT",
  "LOG_LEVEL",
] as const;

/** What Deno itself needs, since a function's process starts with an empty environment. */
const processVariables =
  /^(PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|XDG_\w+|DENO_\w+|NPM_CONFIG_\w+|npm_config_\w+|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy|SSL_CERT_\w+|NODE_EXTRA_CA_CERTS|SystemRoot|LOCALAPPDATA|APPDATA|USERPROFILE)$/;

/** Reads a `.env` file: `NAME=value`, comments, optional quotes and `export`. Empty without one. */
export async function readEnvFile(file: string): Promise<Readonly<Record<string, string>>> {
  try {
    return parseEnv(await Deno.readTextFile(file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
}

/** The variables of a `.env` text, without those whose value is empty. */
export function parseEnv(text: string): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const [, name, raw = ""] = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const quoted = /^(["'])(.*)\1\s*(#.*)?$/.exec(raw);
    const value = quoted === null
      ? raw.replace(/(^|\s)#.*$/, "").trim()
      : quoted[1] === '"'
      ? (quoted[2] ?? "").replaceAll("\\n", "\n")
      : quoted[2] ?? "";
    if (value !== "") variables[name] = value;
  }
  return variables;
}

/** The environment of a function's process: the stack's values, which `overrides` replace. */
export function functionEnvironment(
  url: string,
  keys: LocalKeys,
  overrides: Readonly<Record<string, string>> = {},
  process: Readonly<Record<string, string>> = Deno.env.toObject(),
): Readonly<Record<string, string>> {
  const inherited = Object.entries(process).filter(([name]) => processVariables.test(name));
  return {
    ...Object.fromEntries(inherited),
    NO_COLOR: "1",
    SUPABASE_URL: url,
    SUPABASE_SERVICE_ROLE_KEY: keys.serviceRoleKey,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: keys.secretKey }),
    SUPABASE_JWT_SECRET: keys.jwtSecret,
    WEBHOOK_SECRET: keys.webhookSecret,
    EVENTFLOW_API_URL: `${url}/simulators/eventflow`,
    EVENTFLOW_API_KEY: keys.eventflowApiKey,
    HEADOUT_API_URL: `${url}/simulators/headout`,
    HEADOUT_API_KEY: keys.headoutApiKey,
    HEADOUT_WEBHOOK_KEY: keys.headoutWebhookKey,
    // Nothing limits CPU time here.
    IMPORT_CPU_MS: "0",
    ...overrides,
  };
}

/** Those variables of an environment that are meant for the functions and not empty. */
export function chosenVariables(
  environment: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    functionVariables.flatMap((name) => {
      const value = environment[name];
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
}
