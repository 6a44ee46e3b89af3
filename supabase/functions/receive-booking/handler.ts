import { z } from "zod";
import { AnswerError, InvalidBody } from "../_shared/errors.ts";
import { checkSignature, readWebhookHeader } from "../_shared/http/check_signature.ts";
import {
  checkSecret,
  combineOutcomes,
  type CredentialOutcome,
  readBearer,
  requireRight,
} from "../_shared/http/credentials.ts";
import { type Background, createBackground } from "../_shared/http/background.ts";
import { describeIssues } from "../_shared/http/describe_issues.ts";
import { isStorableText } from "../_shared/http/find_unstorable.ts";
import { type JsonBody, parseJsonBody } from "../_shared/http/parse_json_body.ts";
import { readBody } from "../_shared/http/read_body.ts";
import { respondJson } from "../_shared/http/respond.ts";
import { type Call, serveCall } from "../_shared/http/serve_call.ts";
import { DATABASE_TIMEOUT_MS } from "../_shared/call_database.ts";
import type { Importer } from "../_shared/inbox/importer.ts";
import type { Inbox } from "../_shared/inbox/inbox.ts";
import { keepInvalid } from "../_shared/inbox/keep_invalid.ts";
import { cutText, normalizeEventType } from "../_shared/eventflow/event_type.ts";
import { createDrainKick } from "../_shared/inbox/drain_kick.ts";
import { notConfigured } from "../_shared/inbox/not_configured.ts";
import { readDedupeKey } from "../_shared/inbox/read_dedupe_key.ts";
import { receiveDelivery } from "../_shared/inbox/receive_delivery.ts";
import { redactHeaders } from "../_shared/inbox/redact_headers.ts";
import { createSlots, type Slots } from "../_shared/inbox/slots.ts";
import { isDeferred } from "../_shared/inbox/sync_result.ts";
import type { Log } from "../_shared/log.ts";
import { monotonicNow } from "../_shared/clock.ts";

/** What {@linkcode createHandler} needs; the optional parts have defaults. */
export interface ReceiveBookingDeps {
  readonly inbox: Pick<Inbox, "finishDelivery" | "receiveDelivery">;
  readonly importer: Importer;
  readonly log: Log;
  /** The current secret and, during a rotation, the previous one. */
  readonly webhookSecrets: readonly string[];
  /** Standard Webhooks secret. A signed request needs no other credential. */
  readonly signingSecrets?: readonly string[];
  /** The only organization served here; without it the body must name one. */
  readonly organizationId?: string | undefined;
  /** How long the sender waits for an answer, in milliseconds, plus a second at most. */
  readonly syncBudgetMs?: number;
  /** How many imports run at once; more deliveries are only stored and left to drain. */
  readonly inlineSyncLimit?: number;
  /** Work that continues after the response. */
  readonly background?: Background;
  /** How many requests are processed at once before 429; limits the memory for bodies. */
  readonly requestLimit?: number;
  /** How many bodies with an unchecked signature are read at once; they have slots of their own. */
  readonly unprovenLimit?: number;
  /** For durations, in milliseconds. */
  readonly now?: () => number;
}

const NAME = "receive-booking";
/** How long a burst is only stored before slots are given out again, in milliseconds. */
const BURST_MS = 5_000;
/** Reasons that pass quickly, so that a drain soon is worth it. */
const MOMENTARY = new Set(["busy", "burst"]);

const bookingIdSchema = z.union(
  [z.string().trim().min(1).max(200), z.int().nonnegative().transform(String)],
  "Expected a string of 1 to 200 characters, or a whole number.",
);

/** The body of the webhook; further keys are kept with the delivery. */
export const bodySchema = z.object({
  booking_id: bookingIdSchema,
  event_type: z.unknown().optional(),
  organization_id: z.guid("Expected a uuid.").toLowerCase().nullish(),
});

/** Handles `POST /functions/v1/receive-booking`, EventFlow's webhook. */
export function createHandler({
  inbox,
  importer,
  log,
  webhookSecrets,
  signingSecrets = [],
  organizationId,
  syncBudgetMs = 20_000,
  inlineSyncLimit = 8,
  background = createBackground(),
  requestLimit = 1_000,
  unprovenLimit = 50,
  now = monotonicNow,
}: ReceiveBookingDeps): (request: Request) => Promise<Response> {
  const requests = createSlots(requestLimit);
  const unproven = createSlots(unprovenLimit);
  const slots = createSlots(inlineSyncLimit, { restMs: BURST_MS, now });
  const kickDrain = createDrainKick({ importer, background, now });
  const deps = { inbox, importer, slots, log, now, budgetMs: syncBudgetMs };

  function checkHeaders({ request: { headers }, note }: Call): CredentialOutcome {
    const caller = combineOutcomes([
      checkSecret(headers.get("x-api-key"), webhookSecrets),
      checkSecret(readBearer(headers), webhookSecrets),
    ]);
    note({ caller });
    return caller;
  }

  function read(request: Request): Promise<Uint8Array> {
    return readBody(request, { timeoutMs: Math.min(10_000, syncBudgetMs) });
  }

  /**
   * The body of a caller without a secret who may have signed it. Such bodies have separate slots,
   * so that slow strangers take none from authenticated callers.
   */
  async function readSigned(
    { request, note }: Call,
    known: CredentialOutcome,
  ): Promise<Uint8Array> {
    const { headers } = request;
    if (signingSecrets.length === 0 || readWebhookHeader(headers, "signature") === null) {
      requireRight(known);
    }
    const release = takePlace(unproven);
    const bytes = await read(request).finally(release);
    const caller = combineOutcomes([known, checkSignature(bytes, headers, signingSecrets)]);
    note({ caller });
    requireRight(caller);
    return bytes;
  }

  async function answer(call: Call, bytes: Uint8Array, signed: boolean): Promise<Response> {
    const { request: { headers }, requestId, startedAt, note } = call;
    const deadline = startedAt + syncBudgetMs;
    const body = parseJsonBody(bytes, headers);
    const notice = readNotice(body, organizationId);
    const kept = { function: NAME, headers: redactHeaders(headers), body: body.storable } as const;
    if (notice instanceof AnswerError) {
      const row = await keepInvalid(inbox, {
        ...kept,
        source: "eventflow",
        organizationId: organizationId ?? null,
        externalId: readNamed(body),
        error: notice,
      }, Math.min(DATABASE_TIMEOUT_MS, deadline - now()));
      note({ delivery_id: row.deliveryId });
      throw notice;
    }

    note({ booking_id: notice.externalId, ...describeEventType(notice) });
    const dedupeKey = readDedupeKey(headers, {
      function: NAME,
      organizationId: notice.organizationId,
      externalId: notice.externalId,
      signed,
    });
    const stored = await receiveDelivery(deps, {
      delivery: {
        ...kept,
        source: "eventflow",
        organizationId: notice.organizationId,
        externalId: notice.externalId,
        eventType: notice.eventType,
        eventTimestamp: null,
        dedupeKey,
        status: "pending",
        lastError: null,
      },
      requestId,
      deadline,
    });
    note({ delivery_id: stored.deliveryId });
    if (stored.kind === "unknown_organization") {
      throw organizationId === undefined ? unknownOrganization() : notConfigured("unknown");
    }
    const { sync, duplicate } = stored;
    const accepted = isDeferred(sync);
    note({ outcome: sync.outcome, reason: accepted ? sync.reason : undefined, duplicate });
    if (accepted && MOMENTARY.has(sync.reason)) kickDrain();
    return respondJson(accepted ? 202 : 200, {
      success: true,
      ...(accepted ? { accepted: true } : {}),
      delivery_id: stored.deliveryId,
      booking_id: notice.externalId,
      event_type: notice.eventType,
      sync: accepted ? sync : { changes: {}, ...sync },
    });
  }

  return serveCall(async (call) => {
    const caller = checkHeaders(call);
    const signed = caller === "right" ? undefined : await readSigned(call, caller);
    const release = takePlace(requests);
    try {
      return await answer(call, signed ?? await read(call.request), signed !== undefined);
    } finally {
      release();
    }
  }, { log, now });
}

/** Throws 429 `rate_limited` if this process is handling as many requests as it may. */
function takePlace(slots: Slots): () => void {
  const release = slots.take();
  if (release) return release;
  throw new AnswerError(429, "rate_limited", "Cannot answer now: too many requests at once.", {
    retryAfterSeconds: 1,
  });
}

interface Notice {
  readonly externalId: string;
  readonly organizationId: string;
  readonly eventType: string | null;
  readonly known: boolean;
}

/** What the sender says, or the error that it gets. */
function readNotice(body: JsonBody, ours: string | undefined): Notice | AnswerError {
  if (body.error) return body.error;
  const parsed = bodySchema.safeParse(body.value);
  if (!parsed.success) return new InvalidBody(describeIssues(parsed.error, body.value));
  const theirs = parsed.data.organization_id ?? undefined;
  if (ours !== undefined && theirs !== undefined && theirs !== ours) return organizationMismatch();
  const organizationId = ours ?? theirs;
  if (organizationId === undefined) {
    return new InvalidBody([
      { field: "organization_id", code: "required", message: "Expected a uuid." },
    ]);
  }
  const { event_type, booking_id } = parsed.data;
  return { externalId: booking_id, organizationId, ...normalizeEventType(event_type) };
}

/** The booking that a refused body names; null if it names none that the inbox can store. */
function readNamed(body: JsonBody): string | null {
  const { data } = bookingIdSchema.safeParse(body.value?.["booking_id"]);
  // U+FFFD replaces lost bytes, so the id would be another booking's.
  return data === undefined || !isStorableText(data) || data.includes("\uFFFD") ? null : data;
}

/** What is logged of the event type. An unknown one is the sender's text, so it is cut short. */
function describeEventType(notice: Notice): Readonly<Record<string, unknown>> {
  if (notice.known) return { event_type: notice.eventType };
  return { event_type: cutText(notice.eventType ?? "", 50), event_type_unknown: true };
}

function organizationMismatch(): AnswerError {
  return new AnswerError(
    403,
    "organization_mismatch",
    "Cannot accept the delivery: it names an organization that is not served here.",
    {
      details: [{
        field: "organization_id",
        code: "organization_mismatch",
        message: "Expected the organization that this installation serves, or none.",
      }],
    },
  );
}

function unknownOrganization(): InvalidBody {
  return new InvalidBody([{
    field: "organization_id",
    code: "unknown_organization",
    message: "Expected an organization that exists.",
  }]);
}
