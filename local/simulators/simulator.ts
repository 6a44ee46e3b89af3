/** A simulated system: takes a request, returns the response. */
export type Simulator = (request: Request) => Promise<Response>;

/** What every simulator needs from outside. */
export interface SimulatorOptions {
  /** The path under which it is served, without a slash at the end. */
  readonly mount: string;
  /** The credential that its callers must send. */
  readonly apiKey: string;
  /** Where its webhooks go, and with which credential. */
  readonly webhookUrl: string;
  readonly webhookKey: string;
  readonly now?: () => number;
  readonly fetch?: typeof fetch;
  /** Ends answers that hang and webhooks that wait. */
  readonly signal?: AbortSignal;
}

/** The receiver's answer to a webhook. */
export interface WebhookAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Sends one webhook and reads the answer, parsed if it is JSON. */
export async function sendWebhook(
  fetchReceiver: typeof fetch,
  url: string,
  headers: Readonly<Record<string, string>>,
  body: unknown,
  signal?: AbortSignal,
): Promise<WebhookAnswer> {
  const limit = AbortSignal.timeout(45_000);
  try {
    const answer = await fetchReceiver(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    const text = await answer.text();
    return { status: answer.status, body: parseJson(text) };
  } catch (error) {
    return { status: 0, body: { message: error instanceof Error ? error.message : String(error) } };
  }
}

/** The JSON of a text, or the text. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The JSON object in a control request; no body is an empty object. */
export async function readControlBody(request: Request): Promise<Record<string, unknown>> {
  const text = await request.text();
  if (text.trim() === "") return {};
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError("Cannot read the control request: its body is not a JSON object");
  }
  return value as Record<string, unknown>;
}
