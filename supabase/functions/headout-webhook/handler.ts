import { z } from "zod";
import { HEADOUT_STATUSES, readHeadoutStatus } from "../_shared/headout/status.ts";
import { AnswerError, InvalidBody } from "../_shared/errors.ts";
import { type Background, createBackground } from "../_shared/http/background.ts";
import {
  checkSecret,
  combineOutcomes,
  type CredentialOutcome,
  readBearer,
  readUrlKey,
  requireRight,
} from "../_shared/http/credentials.ts";
import { describeIssues } from "../_shared/http/describe_issues.ts";
import type { VerifyJwt } from "../_shared/http/jwt.ts";
import { type JsonBody, parseJsonBody } from "../_shared/http/parse_json_body.ts";
import { readBody } from "../_shared/http/read_body.ts";
import { respondJson } from "../_shared/http/respond.ts";
import { type Call, serveCall } from "../_shared/http/serve_call.ts";
import { callDatabase, DATABASE_TIMEOUT_MS } from "../_shared/call_database.ts";
import type { Importer, ImportTask } from "../_shared/inbox/importer.ts";
import type { HeadoutOutcome, Inbox } from "../_shared/inbox/inbox.ts";
import { createDrainKick } from "../_shared/inbox/drain_kick.ts";
import { keepInvalid } from "../_shared/inbox/keep_invalid.ts";
import { normalizeEventTimestamp } from "../_shared/headout/event_timestamp.ts";
import { notConfigured } from "../_shared/inbox/not_configured.ts";
import { redactHeaders } from "../_shared/inbox/redact_headers.ts";
import { returnUntried, runInlineImport } from "../_shared/inbox/run_inline_import.ts";
import { createSlots } from "../_shared/inbox/slots.ts";
import { isDeferred } from "../_shared/inbox/sync_result.ts";
import type { Log } from "../_shared/log.ts";
import { monotonicNow } from "../_shared/clock.ts";
import { createHoldAlarm } from "../_shared/sync/hold_alarm.ts";

/** What {@linkcode createHandler} needs; at least one credential is required. */
export interface HeadoutWebhookDeps {
  readonly inbox: Inbox;
  readonly importer: Importer;
  readonly log: Log;
  /** The accepted `?key=`, since Headout can only be configured with a URL. */
  readonly webhookKey?: string | undefined;
  /** Verifies `Authorization: Bearer`, for a gateway in front that signs its calls. */
  readonly verifyJwt?: VerifyJwt | undefined;
  readonly organizationId?: string | undefined;
  /** How long the read after the answer may take, in milliseconds. */
  readonly syncBudgetMs?: number;
  readonly inlineSyncLimit?: number;
  readonly background?: Background;
  /** For durations, in milliseconds. */
  readonly now?: () => number;
}

const NAME = "headout-webhook";
/** How long a burst of re-fetches is left to drain, in milliseconds. */
const BURST_MS = 5_000;
/** Outcomes after which the booking is read again. */
const REFETCHED = new Set<HeadoutOutcome>(["applied", "stub_created", "conflict"]);

const bookingIdSchema = z.union([
  z.int().positive(),
  z.string().trim().regex(/^\d{1,20}$/).transform(Number).pipe(z.int().positive()),
], "Expected a positive whole number up to 9007199254740991, or its digits.").transform(String);

/** The body of the webhook; further keys are kept with the delivery. */
export const bodySchema = z.object({
  bookingId: bookingIdSchema,
  status: z.preprocess(
    (word) => typeof word === "string" ? readHeadoutStatus(word) : word,
    z.enum(HEADOUT_STATUSES, `Expected one of ${HEADOUT_STATUSES.join(", ")}.`),
  ),
  eventTimestamp: z.string("Expected a local date-time.").transform((text, context) => {
    const normal = normalizeEventTimestamp(text);
    if (normal !== undefined) return normal;
    context.addIssue("Expected a local date-time, such as 2024-01-15T10:30:00.");
    return z.NEVER;
  }),
});

const MESSAGES: Readonly<Record<HeadoutOutcome, string>> = {
  applied: "The status has been applied.",
  duplicate: "This event has been processed before.",
  stale: "A newer event has been processed; the status is kept.",
  held: "The change is held until a person releases it; the status is kept.",
  conflict: "The event is recorded; the booking is read again to decide.",
  stub_created: "The booking was unknown and has been created from the event.",
};

/**
 * Handles `POST /functions/v1/headout-webhook`. It never answers 429, and a 4xx only to what would
 * fail again, since Headout does not repeat a request after a 4xx. Throws `TypeError` without a
 * credential.
 */
export function createHandler({
  inbox,
  importer,
  log,
  webhookKey,
  verifyJwt,
  organizationId,
  syncBudgetMs = 20_000,
  inlineSyncLimit = 8,
  background = createBackground(),
  now = monotonicNow,
}: HeadoutWebhookDeps): (request: Request) => Promise<Response> {
  if (webhookKey === undefined && verifyJwt === undefined) {
    throw new TypeError("Cannot create the handler: no credential is configured");
  }
  const deps = { inbox, importer, log, now, budgetMs: syncBudgetMs };
  const slots = createSlots(inlineSyncLimit, { restMs: BURST_MS, now });
  const kickDrain = createDrainKick({ importer, background, now });
  const alarm = createHoldAlarm({ log, now });

  async function authenticate(
    headers: Headers,
    url: URL,
  ): Promise<CredentialOutcome> {
    const keys = webhookKey === undefined ? [] : [webhookKey];
    const known = combineOutcomes(
      [headers.get("x-api-key"), ...readUrlKey(url)].map((key) => checkSecret(key, keys)),
    );
    const token = readBearer(headers);
    if (known === "right" || token === undefined) return known;
    return await verifyJwt?.(token) === undefined ? "wrong" : "right";
  }

  function refetch(task: ImportTask): void {
    const release = slots.take();
    if (!release) {
      background.run(() => returnUntried(deps, task));
      return kickDrain();
    }
    background.run(async () => {
      const sync = await runInlineImport(deps, task, now() + syncBudgetMs).finally(release);
      log.debug("re-fetch", {
        request_id: task.requestId,
        delivery_id: task.deliveryId,
        outcome: isDeferred(sync) ? sync.reason : sync.outcome,
      });
    });
  }

  return serveCall(async ({ request, requestId, note }: Call): Promise<Response> => {
    const { headers } = request;
    const url = new URL(request.url);
    const caller = await authenticate(headers, url);
    note({ caller });
    requireRight(caller);
    const bytes = await readBody(request); // not earlier: a stranger may never stop sending

    const organization = organizationId ?? readOrganization(url.searchParams);
    const body = parseJsonBody(bytes, headers);
    const event = readEvent(body);
    const kept = { headers: redactHeaders(headers), body: body.storable };
    if (event instanceof AnswerError) {
      // If the body names a booking, the inbox schedules a read of it: Headout never repeats a 4xx.
      const named = bookingIdSchema.safeParse(body.value?.["bookingId"]).data ?? null;
      const invalid = { ...kept, function: NAME, source: "headout", error: event } as const;
      const row = await keepInvalid(
        inbox,
        { ...invalid, organizationId: organization, externalId: named },
        DATABASE_TIMEOUT_MS,
      );
      // Not a 4xx, which Headout would not repeat: this is ours to fix.
      if (row.outcome === "not_configured" || row.outcome === "unknown_organization") {
        throw noConnection(organization);
      }
      note({ delivery_id: row.deliveryId, booking_id: named });
      throw event;
    }

    const { bookingId, status, eventTimestamp } = event;
    note({ booking_id: bookingId, headout_status: status });
    const applied = await callDatabase(DATABASE_TIMEOUT_MS, (options) =>
      inbox.applyHeadoutEvent({
        ...kept,
        organizationId: organization,
        externalId: bookingId,
        eventType: status,
        eventTimestamp,
      }, options));
    if (applied === undefined) throw noConnection(organization);
    const { deliveryId, outcome, oldStatus, newStatus, leaseToken } = applied;
    note({ delivery_id: deliveryId, outcome });
    if (leaseToken !== null) {
      const task = { externalId: bookingId, organizationId: applied.organizationId };
      refetch({ ...task, source: "headout", deliveryId, leaseToken, requestId });
    } else if (REFETCHED.has(outcome)) kickDrain(); // the booking is being read right now, so it must be read again
    if (outcome === "held") {
      alarm({ organizationId: applied.organizationId, source: "headout", bookings: 1 });
    }
    return respondJson(200, {
      success: true,
      message: MESSAGES[outcome],
      bookingId,
      oldStatus,
      newStatus,
      headoutStatus: status,
      timestamp: applied.processedAt,
      deliveryId,
      outcome,
    });
  }, { log, now });
}

/** The event, or the error for Headout; the same body always gives the same one. */
function readEvent(body: JsonBody): z.infer<typeof bodySchema> | AnswerError {
  if (body.error) return body.error;
  const parsed = bodySchema.safeParse(body.value);
  return parsed.success ? parsed.data : new InvalidBody(describeIssues(parsed.error, body.value));
}

function noConnection(organization: string | null): AnswerError {
  return notConfigured(organization === null ? "unnamed" : "unknown");
}

/** `?organization_id=`; null selects the only enabled connection. */
function readOrganization(query: URLSearchParams): string | null {
  const given = query.get("organization_id");
  if (given === null || given === "") return null;
  const parsed = z.guid().toLowerCase().safeParse(given);
  if (parsed.success) return parsed.data;
  throw notConfigured("malformed"); // the URL is wrong, not the event, which a 4xx would lose
}
