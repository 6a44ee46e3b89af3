import type { Database } from "./database/database.ts";
import { functionNames, type Functions } from "./functions.ts";
import { jsonResponse } from "./json_response.ts";
import { proxy } from "./proxy.ts";
import { serveStudio } from "./studio.ts";
import type { SupabaseApi } from "./supabase_api.ts";

/** Answers a request. */
export type Handler = (request: Request) => Promise<Response>;

/** What the one port leads to. */
export interface GatewayOptions {
  readonly database: Database;
  readonly api: SupabaseApi;
  readonly storage: Handler;
  readonly functions: () => Functions;
  readonly simulators: Readonly<Record<string, Handler>>;
  readonly studio: boolean;
}

/** Routes the requests of the stack's port to the API, the functions and the simulators. */
export function createGateway(
  options: GatewayOptions,
): (request: Request, peerAddress: string) => Promise<Response> {
  return async function gateway(request, peerAddress): Promise<Response> {
    const { pathname } = new URL(request.url);
    const [, first = "", second = "", third = "", ...rest] = pathname.split("/");
    if (first === "functions" && second === "v1") {
      if (third === "_health") return await health(options);
      const process = options.functions().get(third);
      if (process !== undefined) {
        const path = [third, ...rest].join("/");
        return await proxy(
          request,
          { name: third, url: `${process.url}/${path}`, ready: process.ready() },
          peerAddress,
        );
      }
      if (functionNames.some((name) => name === third)) return starting();
    }
    if (first === "simulators") {
      const simulator = options.simulators[second];
      if (simulator !== undefined) return await simulator(request);
    }
    if (first === "storage" && second === "v1") return await options.storage(request);
    if ((first === "rest" || first === "auth") && second === "v1") {
      return await options.api.fetch(request, peerAddress);
    }
    if (options.studio) {
      const page = await serveStudio(request, (page) => options.api.fetch(page, peerAddress));
      if (page !== undefined) return page;
    }
    return unknownPath(pathname, options);
  };
}

/** 200 if the database and every function answer; otherwise 503, saying which does not. */
async function health(options: GatewayOptions): Promise<Response> {
  const functions = options.functions().all;
  const checks = await Promise.all([
    check("database", () => options.database.query("select 1").then(() => true)),
    ...functionNames.map((name) => {
      const process = functions.find((candidate) => candidate.name === name);
      return check(name, () => process?.ready() === true ? probe(process.url) : false);
    }),
  ]);
  const healthy = checks.every(([, ok]) => ok);
  return jsonResponse(
    { healthy, checks: Object.fromEntries(checks) },
    healthy ? 200 : 503,
    healthy ? {} : { "retry-after": "1" },
  );
}

async function check(
  name: string,
  test: () => boolean | Promise<boolean>,
): Promise<readonly [string, boolean]> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), 5_000));
  try {
    return [name, await Promise.race([test(), late])];
  } catch {
    return [name, false];
  } finally {
    clearTimeout(timer);
  }
}

async function probe(url: string): Promise<boolean> {
  const answer = await fetch(url, { method: "OPTIONS", signal: AbortSignal.timeout(4_000) });
  await answer.body?.cancel();
  return answer.status < 500;
}

function starting(): Response {
  return jsonResponse({ message: "The functions are starting" }, 503, { "retry-after": "1" });
}

function unknownPath(path: string, options: GatewayOptions): Response {
  return jsonResponse({
    message: `There is nothing at ${path}`,
    paths: [
      ...functionNames.map((name) => `/functions/v1/${name}`),
      "/functions/v1/_health",
      "/rest/v1/",
      "/auth/v1/",
      "/storage/v1/",
      ...Object.keys(options.simulators).map((name) => `/simulators/${name}/`),
      ...(options.studio ? ["/ (studio)"] : []),
    ],
  }, 404);
}
