import { App } from "@supabase/lite";
import { withApiErrors } from "./api_errors.ts";
import type { Database } from "./database/database.ts";
import { messageOf } from "./errors.ts";
import type { LocalKeys } from "./keys.ts";

/** The Supabase-compatible API (`/rest/v1`, `/auth/v1`) and its studio over a database. */
export interface SupabaseApi {
  fetch(request: Request, peerAddress: string): Promise<Response>;
}

/** How the API behaves. */
export interface SupabaseApiOptions {
  readonly database: Database;
  readonly keys: LocalKeys;
  readonly url: string;
  /** Serves the studio, which needs no key. */
  readonly studio: boolean;
  readonly log: (line: string) => void;
}

/**
 * Serves the API. The local publishable and anon keys are `anon`; the secret key and the service
 * role JWT are `service_role`. A JWT of the local secret in `Authorization` overrides the key.
 */
export function createSupabaseApi(options: SupabaseApiOptions): SupabaseApi {
  const { database, keys } = options;
  const app = new App({
    connection: database.api,
    api: { schemas: ["public"], max_rows: 1000 },
    auth: {
      enabled: true,
      jwt_secret: keys.jwtSecret,
      publishable_key: keys.publishableKey,
      secret_key: keys.secretKey,
      site_url: options.url,
    },
    studio: { enabled: options.studio },
    options: {
      server: {
        admin: options.studio,
        disableStudio: !options.studio,
        apiKeys: {
          resolver: (key) =>
            Promise.resolve(
              key === keys.publishableKey || key === keys.anonKey
                ? { type: "publishable", claims: { role: "anon" } }
                : key === keys.secretKey || key === keys.serviceRoleKey
                ? { type: "secret", claims: { role: "service_role" } }
                : null,
            ),
        },
      },
    },
  });
  let warmedUp: Promise<void> | undefined;

  /** The first request reads the schema; many at once would each read it and take minutes. */
  async function warmUp(): Promise<void> {
    const request = new Request(`${options.url}/rest/v1/organizations?limit=0`, {
      headers: { apikey: keys.secretKey },
    });
    const answer = await database.exclusive(() =>
      withApiErrors(options.log, () => app.fetch(request, { peerAddress: "127.0.0.1" }))
    );
    await answer.body?.cancel();
  }

  return {
    async fetch(request, peerAddress): Promise<Response> {
      await (warmedUp ??= warmUp().catch((error) => options.log(messageOf(error))));
      // The whole body first: the embedded database has one session, which must not wait for it.
      const body = request.body === null ? null : await request.arrayBuffer();
      const whole = new Request(request.url, {
        method: request.method,
        headers: request.headers,
        body,
      });
      return await database.exclusive(() =>
        withApiErrors(options.log, () => app.fetch(whole, { peerAddress }))
      );
    },
  };
}
