import { loadImportBookingsConfig, loadOrExit, type SourceConfig } from "../_shared/config.ts";
import { createEventFlowClient } from "../_shared/eventflow/client.ts";
import { createHeadoutClient } from "../_shared/headout/client.ts";
import { createJwtVerifier } from "../_shared/http/jwt.ts";
import { createLog } from "../_shared/log.ts";
import { createPostgresBookings } from "../_shared/postgres/bookings.ts";
import { createSupabaseApi } from "../_shared/postgres/client.ts";
import { createPostgresDeliveryQueue } from "../_shared/postgres/delivery_queue.ts";
import { createStoredFiles } from "../_shared/postgres/files.ts";
import { createPostgresInbox } from "../_shared/postgres/inbox.ts";
import { createPostgresRuns } from "../_shared/postgres/runs.ts";
import { createHandler } from "./handler.ts";

/** How long a token of a caller may live. The platform's own key is configured, and no such token. */
const SERVICE_TOKEN_SECONDS = 24 * 3600;

const config = loadOrExit(loadImportBookingsConfig);
const log = createLog("import-bookings", { level: config.logLevel });
for (const warning of config.warnings) log.warn("configuration", { warning });

const api = createSupabaseApi(config);
const { rpc } = api;
const files = createStoredFiles(api);
const { eventflow, headout, jwks, jwtSecret } = config;

function clientOptions({ apiUrl, apiKey }: SourceConfig) {
  return { baseUrl: apiUrl.href, apiKey, singleTimeoutMs: config.syncBudgetMs };
}

Deno.serve(createHandler({
  sources: {
    ...(eventflow
      ? {
        eventflow: createEventFlowClient({
          ...clientOptions(eventflow),
          pageLimit: config.eventflowPageSize,
          files,
        }),
      }
      : {}),
    ...(headout
      ? {
        headout: createHeadoutClient({
          ...clientOptions(headout),
          minIntervalMs: config.headoutIntervalMs,
        }),
      }
      : {}),
  },
  bookings: createPostgresBookings(rpc),
  inbox: createPostgresInbox(rpc),
  runs: createPostgresRuns(rpc),
  files,
  queue: createPostgresDeliveryQueue(rpc),
  log,
  serviceKeys: config.serviceKeys,
  verifyJwt: jwks || jwtSecret
    ? createJwtVerifier({ jwks, secret: jwtSecret, maxLifetimeSeconds: SERVICE_TOKEN_SECONDS })
    : undefined,
  organizationId: config.organizationId,
  syncBudgetMs: config.syncBudgetMs,
  importBudgetMs: config.importBudgetMs,
  importCpuMs: config.importCpuMs,
}));
