import type { Database } from "./database/database.ts";
import { openDatabase } from "./database/open.ts";
import { functionEnvironment } from "./environment.ts";
import { messageOf, OperatorError } from "./errors.ts";
import { type Functions, startFunctions } from "./functions.ts";
import { createGateway } from "./gateway.ts";
import { type LocalKeys, localKeys } from "./keys.ts";
import { type ProjectPaths, projectPaths } from "./paths.ts";
import { type ControlClient, createControlClient } from "./simulators/control_client.ts";
import type { EventflowSeed } from "./simulators/eventflow/seed.ts";
import { createEventflowSimulator } from "./simulators/eventflow/simulator.ts";
import type { HeadoutSeed } from "./simulators/headout/seed.ts";
import { createHeadoutSimulator } from "./simulators/headout/simulator.ts";
import { createSupabaseApi, type SupabaseApi } from "./supabase_api.ts";
import { startTicker } from "./ticker.ts";

/** What a stack is made of; every part has a default that suits a test. */
export interface StackOptions {
  readonly paths?: ProjectPaths;
  /** 0, the default, is any free port. */
  readonly port?: number;
  /** A real Postgres instead of PGlite. */
  readonly databaseUrl?: string;
  /** An open database to use; the stack then leaves it open. */
  readonly database?: Database;
  /** PGlite: forget the data at the end (default), or keep it under `.local/`. */
  readonly inMemory?: boolean;
  /** Variables of the functions that differ from the stack's own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** `false` starts no functions: database, API and simulators alone. */
  readonly functions?: boolean;
  readonly studio?: boolean;
  /** The ticker's pauses in ms, or false (default) for no ticker. */
  readonly ticker?: false | {
    readonly drainEvery?: number;
    readonly incrementalEvery?: number | false;
  };
  readonly eventflow?: Partial<EventflowSeed>;
  readonly headout?: Partial<HeadoutSeed> & { readonly retryScale?: number };
  /** The simulators' clock. */
  readonly now?: () => number;
  /** Lines of the functions and of the stack itself, `name` saying whose. */
  readonly log?: (name: string, line: string) => void;
}

/** A running stack. */
export interface Stack {
  /** The one base URL of API, functions and simulators. */
  readonly url: string;
  readonly keys: LocalKeys;
  readonly serviceRoleKey: string;
  /** What the functions were started with. */
  readonly environment: Readonly<Record<string, string>>;
  readonly database: Database;
  /** The functions' processes: pids, kill, restart. Throws if the stack has none. */
  readonly functions: Functions;
  readonly eventflow: ControlClient;
  readonly headout: ControlClient;
  /** The last 2000 lines of the functions' output, `name: line`. */
  readonly output: () => readonly string[];
  stop(): Promise<void>;
}

/** Brings up database, API, simulators and functions, and answers once all of them do. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const paths = options.paths ?? projectPaths();
  const keys = await localKeys();
  const stopping = new AbortController();
  const output: string[] = [];
  function log(name: string, line: string): void {
    output.push(`${name}: ${line}`);
    if (output.length > 4000) output.splice(0, 2000);
    options.log?.(name, line);
  }

  // The port first: it is the one thing that often fails, and everything else needs the URL.
  let route: ((request: Request, peer: string) => Promise<Response>) | undefined;
  const server = listen(
    options.port ?? 0,
    (request, peer) =>
      route === undefined
        ? Promise.resolve(
          new Response("starting", { status: 503, headers: { "retry-after": "1" } }),
        )
        : route(request, peer),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const cleanups: (() => Promise<unknown>)[] = [() => server.shutdown()];

  async function stop(): Promise<void> {
    stopping.abort();
    for (const cleanup of cleanups.splice(0).reverse()) {
      await cleanup().catch((error) => log("start", messageOf(error)));
    }
  }

  try {
    const database = options.database ?? await openDatabase({
      paths,
      inMemory: options.inMemory ?? true,
      ...(options.databaseUrl === undefined ? {} : { databaseUrl: options.databaseUrl }),
      log: (line) => log("database", line),
    });
    if (options.database === undefined) cleanups.push(() => database.close());

    const environment = functionEnvironment(url, keys, options.environment);
    const { mounts, simulators } = createSimulators(url, environment, options, stopping.signal);
    const api: SupabaseApi = createSupabaseApi({
      database,
      keys,
      url,
      studio: options.studio ?? false,
      log: (line) => log("api", line),
    });
    let functions: Functions | undefined;
    route = createGateway({
      database,
      api,
      functions: () => functions,
      simulators,
      studio: options.studio ?? false,
    });
    if (options.functions !== false) {
      functions = await startFunctions({ paths, environment, log });
      const started = functions;
      cleanups.push(() => started.stop());
    }
    if (options.ticker !== undefined && options.ticker !== false) {
      const ticker = startTicker({
        ...options.ticker,
        url,
        serviceRoleKey: keys.serviceRoleKey,
        log: (line) => log("ticker", line),
        signal: stopping.signal,
      });
      cleanups.push(() => ticker);
    }
    return {
      url,
      keys,
      serviceRoleKey: keys.serviceRoleKey,
      environment,
      database,
      get functions(): Functions {
        if (functions === undefined) throw new TypeError("Cannot use functions: none was started");
        return functions;
      },
      eventflow: createControlClient(simulators.eventflow, mounts.eventflow),
      headout: createControlClient(simulators.headout, mounts.headout),
      output: () => output.slice(-2000),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function createSimulators(
  url: string,
  environment: Readonly<Record<string, string>>,
  options: StackOptions,
  signal: AbortSignal,
) {
  const mounts = { eventflow: "/simulators/eventflow", headout: "/simulators/headout" } as const;
  const shared = { signal, ...(options.now === undefined ? {} : { now: options.now }) };
  const simulators = {
    eventflow: createEventflowSimulator({
      ...shared,
      mount: mounts.eventflow,
      apiKey: environment.EVENTFLOW_API_KEY ?? "",
      webhookUrl: `${url}/functions/v1/receive-booking`,
      webhookKey: environment.WEBHOOK_SECRET ?? "",
      ...(options.eventflow === undefined ? {} : { seed: options.eventflow }),
    }),
    headout: createHeadoutSimulator({
      ...shared,
      mount: mounts.headout,
      apiKey: environment.HEADOUT_API_KEY ?? "",
      webhookUrl: `${url}/functions/v1/headout-webhook`,
      webhookKey: environment.HEADOUT_WEBHOOK_KEY ?? "",
      ...(options.headout === undefined ? {} : { seed: options.headout }),
      ...(options.headout?.retryScale === undefined
        ? {}
        : { retryScale: options.headout.retryScale }),
    }),
  };
  return { mounts, simulators };
}

function listen(
  port: number,
  handle: (request: Request, peer: string) => Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve(
      { hostname: "127.0.0.1", port, onListen: () => {} },
      (request, info) => handle(request, info.remoteAddr.hostname),
    );
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new OperatorError(
      `Cannot listen on 127.0.0.1:${port}: the port is taken. Set PORT to another one.`,
      { cause: error },
    );
  }
}
