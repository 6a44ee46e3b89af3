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
 * attachments multiplied by tokens). `voucherUrl` is stated if it is a link, `tickets` if every
 * ticket could be read; one without a URL is a code. A URL that is not a link is left out with a
 * warning.
 */
export function readTickets(reading: Reading): Tickets {
  const files = new Map<string, SnapshotAttachment>();
  const codes: unknown[] = [];
  const unreadable = new Set<string>();
  const add = (
    [list, field]: readonly [string, string],
    url: string,
    name: string | undefined,
    type: string,
  ): void => {
    const key = isHttpUrl(url) ? urlKey(url) : "";
    if (key === "" || key.length > SNAPSHOT_LIMITS.urlKey || url.length > SNAPSHOT_LIMITS.url) {
      unreadable.add(list);
      warn(reading, field, "invalid_url", "The URL is not a usable http(s) link; it was left out");
    } else if (!files.has(key)) {
      const file: SnapshotAttachment = {
        url: url.trim(),
        url_key: key,
        listed_under: list,
        file_type: type,
      };
      if (name !== undefined) file.file_name = name;
      files.set(key, file);
    }
  };
  const voucher = pick(reading, ["voucherUrl"]);
  const hasVoucher = typeof voucher?.value === "string" && voucher.value !== "";
  if (hasVoucher) add(["voucherUrl", "voucherUrl"], voucher.value, "Voucher", "VOUCHER");
  const tickets = pick(reading, ["tickets"]);
  if (Array.isArray(tickets?.value)) {
    tickets.value.forEach((ticket: unknown, index: number) => {
      if (!isJsonObject(ticket) || typeof ticket["url"] !== "string" || ticket["url"] === "") {
        if (!isCode(ticket)) unreadable.add("tickets");
        codes.push(ticket);
        return;
      }
      const { publicId, type } = ticket;
      const name = typeof publicId === "string" ? `Ticket ${publicId}` : undefined;
      add(
        ["tickets", `tickets[${index}].url`],
        ticket["url"],
        name,
        typeof type === "string" ? type : "URL",
      );
    });
  }
  if (voucher === undefined && tickets === undefined) return { attachments: undefined, codes };
  const stated = [
    ...(hasVoucher ? ["voucherUrl"] : []),
    ...(Array.isArray(tickets?.value) ? ["tickets"] : []),
  ].filter((list) => !unreadable.has(list));
  return { attachments: { complete: null, stated, items: [...files.values()] }, codes };
}

/** Whether a ticket is a code or text, or an object that has no URL. */
function isCode(ticket: unknown): boolean {
  if (!isJsonObject(ticket)) return typeof ticket === "string" || typeof ticket === "number";
  return ticket["url"] === undefined || ticket["url"] === null || ticket["url"] === "";
}
