import { createClient } from "@supabase/supabase-js";

/** Where the database's API is, and the keys that call it as service_role. */
export interface DatabaseOptions {
  readonly supabaseUrl: URL;
  /** The first is used until the API refuses it with 401, then the next. */
  readonly serviceKeys: readonly [string, ...string[]];
  readonly fetch?: typeof fetch;
}

/** One answer of the database's API, unchecked. */
export interface RpcResponse {
  readonly data: unknown;
  readonly error: { readonly message: string; readonly code?: string } | null;
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
}

/** Calls a function of the database by name, with named arguments. */
export type CallRpc = (
  name: string,
  args: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
) => Promise<RpcResponse>;

/** Makes the one part of supabase-js that the adapters need: rpc, without a session. */
export function createRpc(options: DatabaseOptions): CallRpc {
  const client = createClient(options.supabaseUrl.href, options.serviceKeys[0], {
    auth: { autoRefreshToken: false, detectSessionInUrl: false, persistSession: false },
    global: { fetch: fetchWithKeys(options.serviceKeys, options.fetch ?? fetch) },
  });
  return async (name, args, signal) => {
    const { data, error, status } = await client.rpc(name, args).abortSignal(signal);
    return { data, error, status };
  };
}

/**
 * A project with legacy keys disabled answers 401 to the service role key that the platform still
 * hands out. A call that is refused with 401 has no effect, so the next key is tried and then kept.
 */
function fetchWithKeys(keys: readonly string[], send: typeof fetch): typeof fetch {
  let current = 0;
  return async (input, init) => {
    const response = await send(input, withKey(init, keys[current]!));
    if (response.status !== 401 || keys.length === 1) return response;
    const next = (current + 1) % keys.length;
    const retried = await send(input, withKey(init, keys[next]!));
    if (retried.status === 401) {
      await retried.body?.cancel();
      return response;
    }
    current = next;
    await response.body?.cancel();
    return retried;
  };
}

/**
 * New keys (`sb_secret_…`) are not JWTs and go only in `apikey`; legacy keys go in both headers.
 */
function withKey(init: RequestInit | undefined, key: string): RequestInit {
  const headers = new Headers(init?.headers);
  headers.set("apikey", key);
  if (key.startsWith("sb_")) headers.delete("authorization");
  else headers.set("authorization", `Bearer ${key}`);
  return { ...init, headers };
}
