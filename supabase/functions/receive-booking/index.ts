import { loadOrExit, loadReceiveBookingConfig } from "../_shared/config.ts";
import { createHttpImporter } from "../_shared/inbox/http_importer.ts";
import { createLog } from "../_shared/log.ts";
import { createRpc } from "../_shared/postgres/client.ts";
import { createPostgresInbox } from "../_shared/postgres/inbox.ts";
import { createHandler } from "./handler.ts";

const config = loadOrExit(loadReceiveBookingConfig);
const log = createLog("receive-booking", { level: config.logLevel });
for (const warning of config.warnings) log.warn("configuration", { warning });

Deno.serve(createHandler({
  inbox: createPostgresInbox(createRpc(config)),
  importer: createHttpImporter({
    supabaseUrl: config.supabaseUrl,
    serviceKey: config.serviceKeys[0],
  }),
  log,
  webhookSecrets: config.webhookSecrets,
  signingSecrets: config.signingSecrets,
  organizationId: config.organizationId,
  syncBudgetMs: config.syncBudgetMs,
  inlineSyncLimit: config.inlineSyncLimit,
}));
