import { within } from "../within.ts";

/** A reason is a few hundred bytes; what is larger is no answer of Headout's API. */
const MAX_BYTES = 65_536;
const TIMEOUT_MS = 1_000;

/**
 * The text with which a refusal gives its reason: at most 64 KiB of it, within a second. Undefined
 * if it is not whole by then, since half a reason may lack the very word that counts.
 */
export async function readReason(response: Response): Promise<string | undefined> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  try {
    return await within(TIMEOUT_MS, () => collect(reader));
  } catch {
    return undefined;
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function collect(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for (let bytes = 0;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > MAX_BYTES) return undefined;
    text += decoder.decode(value, { stream: true });
  }
}
