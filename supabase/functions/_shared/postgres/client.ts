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

/** The parts of the API of a project that the adapters need. */
export interface SupabaseApi {
  readonly rpc: CallRpc;
  /** The bucket of the bookings' files. */
  readonly bucket: FileBucket;
}

/** A bucket of Storage. Both throw what Storage answers in place of doing it. */
export interface FileBucket {
  /** Stores a file, also in place of one that is there. */
  upload(
    path: string,
    content: readonly Uint8Array<ArrayBuffer>[],
    mediaType: string,
  ): Promise<void>;
  /** Removes files; those that are not there count as removed. */
  remove(paths: readonly string[]): Promise<void>;
}

/** The bucket of the bookings' files. */
const BUCKET = "booking-files";

/** Makes the parts of supabase-js that the adapters need: rpc and one bucket, without a session. */
export function createSupabaseApi(options: DatabaseOptions): SupabaseApi {
  const client = createClient(options.supabaseUrl.href, options.serviceKeys[0], {
    auth: { autoRefreshToken: false, detectSessionInUrl: false, persistSession: false },
    global: { fetch: fetchWithKeys(options.serviceKeys, options.fetch ?? fetch) },
  });
  const bucket = client.storage.from(BUCKET);
  return {
    async rpc(name, args, signal) {
      const { data, error, status } = await client.rpc(name, args).abortSignal(signal);
      return { data, error, status };
    },
    bucket: {
      async upload(path, content, contentType) {
        // As a stream, so that the content is not copied into one piece.
        const body = ReadableStream.from(content);
        const { error } = await bucket.upload(path, body, {
          contentType,
          upsert: true,
          duplex: "half",
        });
        if (error) throw error;
      },
      async remove(paths) {
        const { error } = await bucket.remove([...paths]);
        if (error) throw error;
      },
    },
  };
}

/** The same without files. */
export function createRpc(options: DatabaseOptions): CallRpc {
  return createSupabaseApi(options).rpc;
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
