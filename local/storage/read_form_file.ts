import { Buffer } from "node:buffer";

/** A file of a form. */
export interface FormFile {
  readonly content: Uint8Array;
  readonly type: string;
}

/**
 * The file in a `multipart/form-data` body (RFC 7578); undefined if there is none. supabase-js sends it
 * under an empty name, which `Request.formData()` drops.
 */
export function readFormFile(body: Uint8Array, contentType: string): FormFile | undefined {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  if (boundary === undefined) return undefined;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = `--${boundary}`;
  for (let at = bytes.indexOf(delimiter); at >= 0;) {
    const next = bytes.indexOf(`\r\n${delimiter}`, at);
    const head = bytes.indexOf("\r\n\r\n", at);
    if (next < 0 || head < 0 || head > next) return undefined;
    const headers = bytes.toString("utf8", at, head);
    if (/^content-disposition:.*;\s*filename\*?=/im.test(headers)) {
      const type = /^content-type:\s*(\S+)/im.exec(headers)?.[1];
      return { content: bytes.subarray(head + 4, next), type: type ?? "application/octet-stream" };
    }
    at = next + 2;
  }
  return undefined;
}
