import { createHash } from "node:crypto";

/** A file that came inside an answer as base64. */
export interface InlineFile {
  /** SHA-256 of the content, in hex. */
  readonly sha256: string;
  /** Bytes of the content; characters of text that is not base64. */
  readonly bytes: number;
  /**
   * The content in pieces, so that it is never held twice; none if `problem` says why it was dropped.
   * Not a Blob: what that holds is not counted as memory, so nothing frees it in time.
   */
  readonly content: readonly Uint8Array<ArrayBuffer>[];
  readonly problem?: "too_large" | "not_base64";
  /** What a `data:` URL said it is, such as `image/png`. */
  readonly mediaType?: string;
}

/** Takes the characters of a base64 value as they come. */
export interface Base64Reader {
  /** Characters `from` to `to` of a chunk. */
  write(chunk: Uint8Array, from: number, to: number): void;
  /** The bytes of content that are kept so far. */
  kept(): number;
  end(): InlineFile;
}

const PIECE_BYTES = 48 * 1024;
const SPACE = 64;
const PADDING = 65;
const INVALID = 66;

/** What each byte means: a value of six bits, white space, padding, or nothing (RFC 4648 §4 and §5). */
const MEANING = new Uint8Array(256).fill(INVALID);
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
for (let value = 0; value < 64; value++) MEANING[ALPHABET.charCodeAt(value)] = value;
MEANING["-".charCodeAt(0)] = 62;
MEANING["_".charCodeAt(0)] = 63;
MEANING["=".charCodeAt(0)] = PADDING;
for (const space of " \t\r\n") MEANING[space.charCodeAt(0)] = SPACE;

/** Longest beginning of a `data:` URL before its comma. */
const MAX_HEAD = 300;

/**
 * Decodes base64 in pieces, with or without padding and line breaks, also in the alphabet of URLs and
 * as a `data:` URL. Content over `maxBytes` is dropped while it is read and only hashed.
 */
export function createBase64Reader(maxBytes: number): Base64Reader {
  const hash = createHash("sha256");
  let pieces: Uint8Array<ArrayBuffer>[] = [];
  let piece = new Uint8Array(PIECE_BYTES);
  let length = 0;
  let bytes = 0;
  let group = 0;
  let digits = 0;
  let padding = 0;
  let problem: InlineFile["problem"];
  let characters = 0;
  /** The beginning of a `data:` URL; undefined once the content has begun. */
  let head: string | undefined = "";
  let mediaType: string | undefined;

  function flush(): void {
    const full = piece.subarray(0, length);
    hash.update(full);
    bytes += length;
    if (bytes > maxBytes) {
      problem ??= "too_large";
      pieces = [];
    } else if (problem === undefined) {
      pieces.push(full);
      piece = new Uint8Array(PIECE_BYTES);
    }
    length = 0;
  }

  function decode(chunk: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at++) {
      const meaning = MEANING[chunk[at]!]!;
      if (meaning < SPACE) {
        if (padding > 0) problem = "not_base64";
        group = group << 6 | meaning;
        digits += 1;
        if (digits < 4) continue;
        if (length + 3 > PIECE_BYTES) flush();
        piece[length++] = group >> 16 & 255;
        piece[length++] = group >> 8 & 255;
        piece[length++] = group & 255;
        group = 0;
        digits = 0;
      } else if (meaning === PADDING) padding += 1;
      else if (meaning === INVALID) problem = "not_base64";
    }
  }

  /** Takes a character before it is known whether the value is a `data:` URL. */
  function readHead(character: number): void {
    head += String.fromCharCode(character);
    if ("data:".startsWith(head!.slice(0, 5))) {
      if (character !== ",".charCodeAt(0) || head!.length < 5) {
        if (head!.length > MAX_HEAD) problem = "not_base64";
        return;
      }
      const said = head!.slice(5, -1).split(";");
      if (!said.includes("base64")) problem = "not_base64";
      if (said[0]) mediaType = said[0];
      head = undefined;
      return;
    }
    const taken = new TextEncoder().encode(head);
    head = undefined;
    decode(taken, 0, taken.length);
  }

  return {
    write(chunk, from, to) {
      let at = from;
      characters += to - from;
      while (head !== undefined && at < to) readHead(chunk[at++]!);
      decode(chunk, at, to);
    },
    kept: () => problem === undefined ? bytes + length : 0,
    end() {
      if (head !== undefined && head !== "") problem = "not_base64";
      // The last group: two digits are one byte, three are two.
      if (digits === 1 || padding > 2) problem = "not_base64";
      if (length + 2 > PIECE_BYTES) flush();
      if (digits >= 2) piece[length++] = (digits === 2 ? group >> 4 : group >> 10) & 255;
      if (digits === 3) piece[length++] = group >> 2 & 255;
      flush();
      return {
        sha256: hash.digest("hex"),
        bytes: problem === "not_base64" ? characters : bytes,
        content: problem === undefined ? pieces : [],
        ...(problem === undefined ? {} : { problem }),
        ...(mediaType === undefined ? {} : { mediaType }),
      };
    },
  };
}
