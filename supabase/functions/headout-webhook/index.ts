import { loadHeadoutWebhookConfig, loadOrExit } from "../_shared/config.ts";
import { createJwtVerifier } from "../_shared/http/jwt.ts";
import { createHttpImporter } from "../_shared/inbox/http_importer.ts";
import { createLog } from "../_shared/log.ts";
import { createRpc } from "../_shared/postgres/client.ts";
import { createPostgresInbox } from "../_shared/postgres/inbox.ts";
import { createHandler } from "./handler.ts";

const config = loadOrExit(loadHeadoutWebhookConfig);
const log = createLog("headout-webhook", { level: config.logLevel });
for (const warning of config.warnings) log.warn("configuration", { warning });

const { jwksUrl, jwtSecret } = config;
const verifyJwt = jwksUrl === undefined && jwtSecret === undefined ? undefined : createJwtVerifier({
  jwks: jwksUrl,
  secret: jwtSecret,
  issuer: config.jwtIssuer,
  audience: config.jwtAudience,
});

Deno.serve(createHandler({
  inbox: createPostgresInbox(createRpc(config)),
  importer: createHttpImporter({
    supabaseUrl: config.supabaseUrl,
    serviceKey: config.serviceKeys[0],
  }),
  log,
  webhookKey: config.webhookKey,
  verifyJwt,
  organizationId: config.organizationId,
  syncBudgetMs: config.syncBudgetMs,
  inlineSyncLimit: config.inlineSyncLimit,
}));
