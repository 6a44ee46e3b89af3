import { pick, type Reading, warn } from "../source/reading.ts";
import {
  isJsonObject,
  type Snapshot,
  SNAPSHOT_LIMITS,
  type SnapshotAttachment,
} from "../booking/snapshot.ts";
import { isHttpUrl, urlKey } from "../booking/child_keys.ts";

/** The files of a booking, and the tickets that are codes or text. */
export interface Tickets {
  readonly attachments: Snapshot["attachments"];
  /** Tickets without a URL, verbatim. */
  readonly codes: readonly unknown[];
}

/**
 * The voucher and the tickets that are links, one attachment per URL without its query (incident:
 * attachments multiplied by tokens). The list is complete if the answer has both. A URL that is not
 * a link is left out with a warning, and then the list is not complete.
 */
export function readTickets(reading: Reading): Tickets {
  const files = new Map<string, SnapshotAttachment>();
  const codes: unknown[] = [];
  let whole = true;
  const add = (field: string, url: string, name: string | undefined, type: string): void => {
    const key = isHttpUrl(url) ? urlKey(url) : "";
    if (key === "" || key.length > SNAPSHOT_LIMITS.urlKey || url.length > SNAPSHOT_LIMITS.url) {
      whole = false;
      warn(reading, field, "invalid_url", "The URL is not a usable http(s) link; it was left out");
    } else if (!files.has(key)) {
      const file: SnapshotAttachment = { url: url.trim(), url_key: key, file_type: type };
      if (name !== undefined) file.file_name = name;
      files.set(key, file);
    }
  };
  const voucher = pick(reading, ["voucherUrl"]);
  if (typeof voucher?.value === "string" && voucher.value !== "") {
    add("voucherUrl", voucher.value, "Voucher", "VOUCHER");
  }
  const tickets = pick(reading, ["tickets"]);
  if (Array.isArray(tickets?.value)) {
    tickets.value.forEach((ticket: unknown, index: number) => {
      if (!isJsonObject(ticket) || typeof ticket["url"] !== "string" || ticket["url"] === "") {
        codes.push(ticket);
        return;
      }
      const { publicId, type } = ticket;
      const name = typeof publicId === "string" ? `Ticket ${publicId}` : undefined;
      add(`tickets[${index}].url`, ticket["url"], name, typeof type === "string" ? type : "URL");
    });
  }
  if (voucher === undefined && tickets === undefined) return { attachments: undefined, codes };
  const complete = whole && voucher !== undefined && Array.isArray(tickets?.value);
  return { attachments: { complete, items: [...files.values()] }, codes };
}
