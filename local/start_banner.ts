import { sampleEvent } from "./simulators/headout/seed.ts";
import { seedId } from "./simulators/eventflow/seed.ts";
import type { Stack } from "./stack.ts";

/** What `start` prints once the stack is ready: URLs, keys, and commands to copy. */
export function startBanner(stack: Stack, details: {
  readonly organizationId?: string;
  readonly psqlUrl?: string;
  readonly seconds: number;
}): string {
  const { url, keys, environment } = stack;
  // Only the development keys are printed. One that you have set appears as the variable's name.
  const shown = (name: string, local: string) => environment[name] === local ? local : `$${name}`;
  const webhookSecret = shown("WEBHOOK_SECRET", keys.webhookSecret);
  const headoutKey = shown("HEADOUT_WEBHOOK_KEY", keys.headoutWebhookKey);
  const serviceRoleKey = shown("SUPABASE_SERVICE_ROLE_KEY", keys.serviceRoleKey);
  const organization = details.organizationId ?? "<organization id>";
  const booking = JSON.stringify({
    booking_id: seedId(0),
    event_type: "updated",
    ...(environment.ORGANIZATION_ID === undefined ? { organization_id: organization } : {}),
  });
  return `
  API          ${url}/rest/v1/   (also /auth/v1/ and /storage/v1/)
  Functions    ${url}/functions/v1/{receive-booking,headout-webhook,import-bookings}
  Health       ${url}/functions/v1/_health
  Studio       ${url}/
  EventFlow    ${environment.EVENTFLOW_API_URL}
  Headout      ${environment.HEADOUT_API_URL}
  Simulators   ${url}/simulators/{eventflow,headout}/_control/bookings
  Database     ${stack.database.label}
${details.organizationId === undefined ? "" : `  Organization ${organization}\n`}
  Development keys, for this machine only:
  SUPABASE_SERVICE_ROLE_KEY  ${serviceRoleKey}
  SUPABASE_ANON_KEY          ${keys.anonKey}
  WEBHOOK_SECRET             ${webhookSecret}
  HEADOUT_WEBHOOK_KEY        ${headoutKey}

  Send an EventFlow webhook:
  curl -s ${url}/functions/v1/receive-booking \\
    -H "x-api-key: ${webhookSecret}" -H 'content-type: application/json' \\
    -d '${booking}'

  Send a Headout event:
  curl -s "${url}/functions/v1/headout-webhook?key=${headoutKey}" \\
    -H 'content-type: application/json' \\
    -d '${sampleEvent}'

  Import one booking:
  curl -s ${url}/functions/v1/import-bookings \\
    -H "authorization: Bearer ${serviceRoleKey}" -H 'content-type: application/json' \\
    -d '{"syncMode":"single","booking_id":"${seedId(3)}","organization_id":"${organization}"}'
${details.psqlUrl === undefined ? "" : `\n  Query the database:\n  psql '${details.psqlUrl}'\n`}
ready in ${details.seconds.toFixed(1)} s
`;
}
