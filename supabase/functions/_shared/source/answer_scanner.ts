import { TooLarge } from "../read_stream.ts";
import { type Base64Reader, createBase64Reader, type InlineFile } from "./base64_file.ts";

/** Bounds of an answer. */
export interface AnswerLimits {
  /** Bytes of JSON without the files in it. */
  readonly maxTextBytes: number;
  /** Structural characters of JSON (RFC 8259 §2: brackets, braces, colons, commas). */
  readonly maxStructure: number;
  /** Bytes of one file. */
  readonly maxFileBytes: number;
}

/** An answer without the content of its files. */
export interface ScannedAnswer {
  readonly text: string;
  /** By SHA-256. */
  readonly files: ReadonlyMap<string, InlineFile>;
}

/** Takes an answer chunk by chunk. */
export interface AnswerScanner {
  /** Throws {@linkcode TooLarge} as soon as a limit is passed. */
  write(chunk: Uint8Array): void;
  /** Bytes that are held: text and files. */
  held(): number;
  /** What was read of the text so far. */
  text(): string;
  /** Bytes of the text so far. */
  textBytes(): number;
  end(): ScannedAnswer;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

const STRUCTURAL = new Uint8Array(256);
for (const character of "{}[]:,") STRUCTURAL[character.charCodeAt(0)] = 1;

/** The name of a field that holds a file. */
const KEY = new TextEncoder().encode("content_base64");

const OUTSIDE = 0;
const STRING = 1;
const ESCAPE = 2;
/** After a name that holds a file, and after its colon. */
const NAMED = 3;
const VALUE = 4;
const CONTENT = 5;
const CONTENT_ESCAPE = 6;
/** Within the four digits of `\u003d`. */
const CONTENT_UNICODE = 7;

/**
 * Reads JSON before it is parsed: the text of every `content_base64` is cut out and decoded as it
 * arrives, and what stays in its place is `{ "omitted_bytes", "sha256" }`. So a file is never held as
 * text. Structural characters are counted, since a parser takes a hundred times the memory of what
 * `{}` takes in text. Whether the rest is JSON is the parser's business.
 */
export function createAnswerScanner(limits: AnswerLimits): AnswerScanner {
  const decoder = new TextDecoder();
  const files = new Map<string, InlineFile>();
  let text = "";
  let textBytes = 0;
  let structure = 0;
  let state = OUTSIDE;
  /** How much of `KEY` the current string is so far; -1 if it is another. */
  let matched = 0;
  let file: Base64Reader | undefined;
  let fileBytes = 0;
  let unicode = "";

  function keepText(chunk: Uint8Array, from: number, to: number): void {
    textBytes += to - from;
    text += decoder.decode(chunk.subarray(from, to), { stream: true });
    if (textBytes > limits.maxTextBytes) {
      throw new TooLarge(`Cannot take more than ${limits.maxTextBytes} bytes beside files.`);
    }
  }

  function endFile(): void {
    const ended = file!.end();
    file = undefined;
    if (ended.bytes === 0 && ended.problem === undefined) {
      text += '""';
      return;
    }
    if (!files.has(ended.sha256)) {
      files.set(ended.sha256, ended);
      fileBytes += ended.content.length === 0 ? 0 : ended.bytes;
    }
    text += JSON.stringify({ omitted_bytes: ended.bytes, sha256: ended.sha256 });
  }

  /** Takes one escape of a file's text, such as `\/` or `\u003d`. */
  function takeEscape(character: number): void {
    if (character === 0x75 /* u */) {
      unicode = "";
      state = CONTENT_UNICODE;
      return;
    }
    // \n, \r and \t are white space, \/ is a slash; anything else is not base64 and shows as such.
    const plain = "nrt".includes(String.fromCharCode(character)) ? 0x20 : character;
    file!.write(Uint8Array.of(plain), 0, 1);
    state = CONTENT;
  }

  function takeUnicode(character: number): void {
    unicode += String.fromCharCode(character);
    if (unicode.length < 4) return;
    const code = Number.parseInt(unicode, 16);
    file!.write(Uint8Array.of(code < 128 ? code : 0), 0, 1);
    state = CONTENT;
  }

  return {
    write(chunk) {
      const { length } = chunk;
      /** Where the text begins that is not kept yet. */
      let from = 0;
      let at = 0;
      while (at < length) {
        if (state === OUTSIDE) {
          let byte = 0;
          for (; at < length; at++) {
            byte = chunk[at]!;
            if (byte === QUOTE) break;
            structure += STRUCTURAL[byte]!;
          }
          if (structure > limits.maxStructure) {
            text += decoder.decode(chunk.subarray(from, at), { stream: true });
            throw new TooLarge(`Cannot take more than ${limits.maxStructure} values and names.`);
          }
          if (at < length) {
            at++;
            state = STRING;
            matched = 0;
          }
        } else if (state === STRING) {
          for (; at < length; at++) {
            const byte = chunk[at]!;
            if (byte === QUOTE) {
              state = matched === KEY.length ? NAMED : OUTSIDE;
              break;
            }
            if (byte === BACKSLASH) {
              state = ESCAPE;
              break;
            }
            matched = matched >= 0 && byte === KEY[matched] ? matched + 1 : -1;
          }
          at++;
        } else if (state === ESCAPE) {
          matched = -1;
          state = STRING;
          at++;
        } else if (state === NAMED || state === VALUE) {
          const byte = chunk[at]!;
          if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) at++;
          else if (state === NAMED && byte === COLON) {
            structure++;
            state = VALUE;
            at++;
          } else if (state === VALUE && byte === QUOTE) {
            keepText(chunk, from, at);
            file = createBase64Reader(limits.maxFileBytes);
            state = CONTENT;
            at++;
          } else state = OUTSIDE;
        } else if (state === CONTENT) {
          const quote = chunk.indexOf(QUOTE, at);
          const end = quote < 0 ? length : quote;
          const escape = chunk.subarray(at, end).indexOf(BACKSLASH);
          const stop = escape < 0 ? end : at + escape;
          file!.write(chunk, at, stop);
          at = stop + 1;
          from = Math.min(at, length);
          if (stop < length) {
            if (escape >= 0) state = CONTENT_ESCAPE;
            else {
              endFile();
              state = OUTSIDE;
            }
          }
        } else {
          if (state === CONTENT_ESCAPE) takeEscape(chunk[at]!);
          else takeUnicode(chunk[at]!);
          at++;
          from = at;
        }
      }
      if (state < CONTENT) keepText(chunk, from, length);
    },
    held: () => textBytes + fileBytes + (file?.kept() ?? 0),
    text: () => text,
    textBytes: () => textBytes,
    end: () => ({ text: text + decoder.decode(), files }),
  };
}
