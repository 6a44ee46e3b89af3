import { z } from "zod";
import { DatabaseError, DatabaseUnavailable } from "../errors.ts";
import { TimeUp, within } from "../within.ts";
import type { CallRpc, RpcResponse } from "./client.ts";
import type { Database, Json } from "./database.types.ts";

type Functions = Database["public"]["Functions"];

/** The name of a database function. */
export type RpcName = keyof Functions;

/**
 * The arguments of a database function by its generated types, so that a misspelt or removed name
 * does not compile. An argument with a default may also be null, which the generator cannot
 * express; a JSON argument may be anything that can be serialized.
 */
export type RpcArgs<Name extends RpcName> = {
  readonly [Argument in keyof Functions[Name]["Args"]]: Argued<Functions[Name]["Args"], Argument>;
};

type Argued<Args, Argument extends keyof Args> = Json extends Exclude<Args[Argument], undefined>
  ? unknown
  : Partial<Pick<Args, Argument>> extends Pick<Args, Argument> ? Args[Argument] | null
  : Args[Argument];

/** How long a call may take when its caller names no bound and no signal, in milliseconds. */
const DEFAULT_TIMEOUT_MS = 15_000;

/**
 * SQLSTATEs and PostgREST codes that mean "not now": no connection, server starting or stopping,
 * out of resources, lock or statement timeout, deadlock, read-only during a failover.
 */
const PASSING = /^(PGRST00[0-3]|08...|53...|57P0[1-5]|57014|55P03|40001|40P01|25006)$/;

/** What a call returns and how long it may take. */
export interface CallOptions<T> {
  readonly row: z.ZodType<T>;
  /** The caller's own bound; it replaces `timeoutMs`. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds, if there is no signal. Default 15 s. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Calls one function and returns its rows, checked. Throws `DatabaseUnavailable` if the database
 * cannot be reached, hangs or is overloaded, and `DatabaseError` for any other error and for a row
 * that breaks the contract. A failed read never looks like an empty one.
 */
export async function callRows<Name extends RpcName, T>(
  rpc: CallRpc,
  name: Name,
  args: RpcArgs<Name>,
  options: CallOptions<T>,
): Promise<T[]> {
  const response = await send(rpc, name, args, options);
  if (response.error) throw toError(name, response);
  const rows = z.array(options.row).safeParse(response.data);
  if (rows.success) return rows.data;
  const where = rows.error.issues[0]?.path.join(".") ?? "";
  throw new DatabaseError(name, "", `its answer breaks the contract, see ${where || "rows"}`);
}

/** The same as `callRows`, for a function that returns exactly one row. */
export async function callRow<Name extends RpcName, T>(
  rpc: CallRpc,
  name: Name,
  args: RpcArgs<Name>,
  options: CallOptions<T>,
): Promise<T> {
  const [row, ...more] = await callRows(rpc, name, args, options);
  if (row !== undefined && more.length === 0) return row;
  throw new DatabaseError(name, "", "it did not return exactly one row");
}

async function send(
  rpc: CallRpc,
  name: string,
  args: Readonly<Record<string, unknown>>,
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: Pick<CallOptions<unknown>, "signal" | "timeoutMs">,
): Promise<RpcResponse> {
  if (signal) return await rpc(name, args, signal);
  try {
    return await within(timeoutMs, (timeUp) => rpc(name, args, timeUp));
  } catch (error) {
    if (error instanceof TimeUp) throw new DatabaseUnavailable({ cause: error });
    throw error;
  }
}

function toError(name: string, response: RpcResponse): Error {
  const { error, status } = response;
  const code = error?.code ?? "";
  const unreachable = status === 0 || status === 429 || (status >= 500 && !isErrorCode(code));
  if (unreachable || PASSING.test(code)) {
    return new DatabaseUnavailable({ cause: new DatabaseError(name, code, `status ${status}`) });
  }
  // Messages of data errors (classes 22 and 23) quote values, which must not be logged.
  const quotesValues = /^2[23]/.test(code);
  const why = quotesValues ? "it refused a value" : (error?.message ?? "").slice(0, 300);
  return new DatabaseError(name, code, `${why} (${code || status})`);
}

/** Whether it is a SQLSTATE or a PostgREST code, which shows that PostgREST answered. */
function isErrorCode(code: string): boolean {
  return /^([0-9A-Z]{5}|PGRST\d{3})$/.test(code);
}
