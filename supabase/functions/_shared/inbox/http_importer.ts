import ky from "ky";
import { z } from "zod";
import { within } from "../within.ts";
import { DELIVERY_STATUSES } from "./inbox.ts";
import { type ImportAnswer, type Importer, ImporterUnavailable } from "./importer.ts";

/** Where import-bookings is, and its key. */
export interface HttpImporterOptions {
  readonly supabaseUrl: URL;
  readonly serviceKey: string;
  readonly fetch?: typeof fetch;
  /** How long one call of a drain may take, in milliseconds. */
  readonly drainTimeoutMs?: number;
}

/** An answer of the mode `single`. */
const answerSchema = z.discriminatedUnion("success", [
  z.object({ success: z.literal(true), outcome: z.string(), changes: z.unknown().default({}) }),
  z.object({
    success: z.literal(false),
    error: z.object({
      code: z.string(),
      message: z.string(),
      status: z.int(),
      details: z.array(z.unknown()),
    }),
  }),
]).and(z.object({
  delivery: z.object({
    status: z.enum(DELIVERY_STATUSES),
    next_attempt_at: z.string().nullable(),
  }).exactOptional(),
}));

/** The answer of a drain that has more to do right away. */
const drainedSchema = z.object({ success: z.literal(true), next: z.object({}) });

/** Drains in a row; a burst leaves more work than the platform allows in one call. */
const DRAIN_CALLS = 10;
/** When the platform ends a request; no answer comes after that. */
const DRAIN_TIMEOUT_MS = 150_000;

/** Calls import-bookings over HTTP, so that the import gets its own worker and CPU time. */
export function createHttpImporter(options: HttpImporterOptions): Importer {
  const { drainTimeoutMs = DRAIN_TIMEOUT_MS } = options;
  const url = new URL("functions/v1/import-bookings", withSlash(options.supabaseUrl));
  const client = ky.create({
    retry: 0,
    timeout: false, // a signal bounds each call
    throwHttpErrors: false,
    redirect: "manual",
    headers: { authorization: `Bearer ${options.serviceKey}`, apikey: options.serviceKey },
    ...(options.fetch ? { fetch: options.fetch } : {}),
  });

  return {
    async importBooking(task, signal) {
      try {
        const response = await client.post(url, {
          signal,
          headers: { "x-request-id": task.requestId },
          json: {
            booking_id: task.externalId,
            syncMode: "single",
            source: task.source,
            organization_id: task.organizationId,
            delivery_id: task.deliveryId,
            lease_token: task.leaseToken,
          },
        });
        return readAnswer(response, await response.text());
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof ImporterUnavailable) throw error;
        throw new ImporterUnavailable(0, { cause: error });
      }
    },

    async drain() {
      try {
        for (let call = 0; call < DRAIN_CALLS; call++) {
          const body = await within(drainTimeoutMs, async (signal) => {
            const response = await client.post(url, { signal, json: { syncMode: "drain" } });
            return parse(await response.text());
          });
          if (!drainedSchema.safeParse(body).success) return;
        }
      } catch { /* the scheduled drain comes anyway */ }
    },
  };
}

function readAnswer(response: Response, text: string): ImportAnswer {
  const { data: answer } = answerSchema.safeParse(parse(text));
  if (answer?.success === response.ok) return answer;
  throw new ImporterUnavailable(response.status, retryAfter(response));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function retryAfter(response: Response): { readonly retryAfterMs?: number } {
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  return seconds > 0 ? { retryAfterMs: Math.min(seconds, 3_600) * 1_000 } : {};
}

function withSlash(url: URL): URL {
  return url.pathname.endsWith("/") ? url : new URL(`${url}/`);
}
