import { holds, pick, type Reading, warn } from "../source/reading.ts";
import {
  isJsonObject,
  type JsonObject,
  type Snapshot,
  SNAPSHOT_LIMITS,
  type SnapshotAttachment,
} from "../booking/snapshot.ts";
import { isHttpUrl, shortKey, urlKey } from "../booking/child_keys.ts";

/** The voucher and the tickets of a booking, and those that are codes or text. */
export interface Tickets {
  readonly attachments: Snapshot["attachments"];
  /** Tickets without a URL, verbatim. */
  readonly codes: readonly unknown[];
}

/**
 * The voucher, known by its kind, and the tickets, known by `publicId` and type: their links change
 * with each read, path and all (incident: attachments multiplied by tokens). A ticket without a
 * `publicId` is known by its URL. One that is a code or text is listed too, with `ticket:` and what it
 * says in place of a URL. `voucherUrl` is stated if it is a link, `tickets` if every ticket could be
 * read.
 */
export function readTickets(reading: Reading): Tickets {
  const files = new Map<string, SnapshotAttachment>();
  /** A ticket may be the voucher over again. */
  const links = new Set<string>();
  const codes: unknown[] = [];
  const unreadable = new Set<string>();
  const add = (file: SnapshotAttachment, field: string): void => {
    const usable = file.url_key !== "" && file.url_key.length <= SNAPSHOT_LIMITS.urlKey &&
      file.url.length <= SNAPSHOT_LIMITS.url;
    if (!usable) {
      unreadable.add(file.listed_under);
      warn(reading, field, "invalid_url", "The URL is not a usable http(s) link; it was left out");
    } else if (!files.has(file.url_key) && !links.has(urlKey(file.url))) {
      files.set(file.url_key, file);
      links.add(urlKey(file.url));
    }
  };
  const voucher = pick(reading, ["voucherUrl"]);
  const hasVoucher = typeof voucher?.value === "string" && voucher.value.trim() !== "";
  if (hasVoucher) {
    const url = voucher.value.trim();
    add({
      url,
      url_key: isHttpUrl(url) ? "voucher" : "",
      listed_under: "voucherUrl",
      file_type: "VOUCHER",
      file_name: "Voucher",
    }, "voucherUrl");
  }
  const tickets = pick(reading, ["tickets"]);
  if (Array.isArray(tickets?.value)) {
    tickets.value.forEach((ticket: unknown, index: number) => {
      const file = isJsonObject(ticket) && holds(ticket["url"])
        ? linkedTicket(ticket)
        : codeTicket(ticket);
      if (file === undefined || isCode(ticket)) codes.push(ticket);
      if (file !== undefined) add(file, `tickets[${index}].url`);
      else if (!isCode(ticket)) unreadable.add("tickets");
    });
  }
  if (voucher === undefined && tickets === undefined) return { attachments: undefined, codes };
  const stated = [
    ...(hasVoucher ? ["voucherUrl"] : []),
    ...(Array.isArray(tickets?.value) ? ["tickets"] : []),
  ].filter((list) => !unreadable.has(list));
  return { attachments: { complete: null, stated, items: [...files.values()] }, codes };
}

function linkedTicket(ticket: JsonObject): SnapshotAttachment {
  const { publicId, type } = ticket;
  const url = typeof ticket["url"] === "string" ? ticket["url"].trim() : "";
  const kind = typeof type === "string" ? type : "URL";
  const known = readId(publicId);
  return {
    url,
    url_key: !isHttpUrl(url) ? "" : known === undefined ? urlKey(url) : ticketKey(known, kind),
    listed_under: "tickets",
    file_type: kind,
    ...(known === undefined ? {} : { file_name: `Ticket ${known}` }),
  };
}

/** A ticket that is a code or text; undefined if it does not say which. */
function codeTicket(ticket: unknown): SnapshotAttachment | undefined {
  const known = readId(isJsonObject(ticket) ? ticket["publicId"] : ticket);
  if (known === undefined) return undefined;
  const type = isJsonObject(ticket) ? ticket["type"] : undefined;
  const kind = typeof type === "string" ? type : "TEXT";
  return {
    url: ticketKey(known, kind),
    url_key: ticketKey(known, kind),
    listed_under: "tickets",
    file_type: kind,
    file_name: `Ticket ${known}`,
  };
}

function readId(value: unknown): string | undefined {
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}

function ticketKey(id: string, kind: string): string {
  return `ticket:${shortKey(`${id}:${kind}`)}`;
}

/** Whether a ticket is a code or text, or an object that has no URL. */
function isCode(ticket: unknown): boolean {
  if (!isJsonObject(ticket)) return typeof ticket === "string" || typeof ticket === "number";
  return ticket["url"] === undefined || ticket["url"] === null || ticket["url"] === "";
}
