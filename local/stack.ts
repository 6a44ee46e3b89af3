import type { Database } from "./database/database.ts";
import { openDatabase } from "./database/open.ts";
import { vacuum } from "./database/vacuum.ts";
import { functionEnvironment } from "./environment.ts";
import { messageOf } from "./errors.ts";
import { type Functions, startFunctions } from "./functions.ts";
import { createGateway } from "./gateway.ts";
import { type LocalKeys, localKeys } from "./keys.ts";
import { listen } from "./listen.ts";
import { type ProjectPaths, projectPaths } from "./paths.ts";
import type { ControlClient } from "./simulators/control_client.ts";
import { createStorage } from "./storage/create_storage.ts";
import { createSimulators, type SimulatorsOptions } from "./simulators/create_simulators.ts";
import { createSupabaseApi, type SupabaseApi } from "./supabase_api.ts";
import { startTicker } from "./ticker.ts";

/** The parts of a stack; the defaults suit a test. */
export interface StackOptions {
  readonly paths?: ProjectPaths;
  /** 0, the default, is any free port. */
  readonly port?: number;
  /** A real Postgres instead of PGlite. */
  readonly databaseUrl?: string;
  /** An open database to use; `stop` leaves it open. */
  readonly database?: Database;
  /** PGlite: forget the data at the end (default), or keep it under `.local/`. */
  readonly inMemory?: boolean;
  /** Variables of the functions, in place of the stack's own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Runs on the open database before anything is served, to seed it. */
  readonly seed?: (database: Database) => Promise<void>;
  /** `false` starts database, API and simulators only. */
  readonly functions?: boolean;
  readonly studio?: boolean;
  /** The ticker's pauses in ms, or false (default) for no ticker. */
  readonly ticker?: false | {
    readonly drainEvery?: number;
    readonly incrementalEvery?: number | false;
  };
  readonly eventflow?: NonNullable<SimulatorsOptions["eventflow"]>;
  readonly headout?: NonNullable<SimulatorsOptions["headout"]>;
  /** The simulators' clock. */
  readonly now?: () => number;
  /** Receives each line of the functions and of the stack; `name` says whose it is. */
  readonly log?: (name: string, line: string) => void;
}

/** A running stack. */
export interface Stack {
  /** The one base URL of API, Storage, functions and simulators. */
  readonly url: string;
  readonly keys: LocalKeys;
  readonly serviceRoleKey: string;
  /** What the functions were started with. */
  readonly environment: Readonly<Record<string, string>>;
  readonly database: Database;
  /** The functions' processes: pids, kill, restart. */
  readonly functions: Functions;
  readonly eventflow: ControlClient;
  readonly headout: ControlClient;
  /** How many calls of functions have begun and are not answered yet. */
  readonly callsUnderWay: () => number;
  /** The last 2000 lines of the functions' output, `name: line`. */
  readonly output: () => readonly string[];
  stop(): Promise<void>;
}

/** Starts database, API, simulators and functions, and returns once all of them answer. */
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

  let underWay = 0;
  /** Counts the calls of functions. */
  async function answer(
    request: Request,
    peer: string,
    by: (request: Request, peer: string) => Promise<Response>,
  ): Promise<Response> {
    if (!new URL(request.url).pathname.startsWith("/functions/")) return await by(request, peer);
    underWay++;
    try {
      return await by(request, peer);
    } finally {
      underWay--;
    }
  }

  // The port comes first: it is what fails most often, and everything else needs the URL.
  let route: ((request: Request, peer: string) => Promise<Response>) | undefined;
  const server = listen(
    options.port ?? 0,
    (request, peer) =>
      route === undefined
        ? Promise.resolve(
          new Response("starting", { status: 503, headers: { "retry-after": "1" } }),
        )
        : answer(request, peer, route),
    (line) => log("start", line),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const cleanups: (() => Promise<unknown>)[] = [() => shutDown(server)];

  async function stop(): Promise<void> {
    stopping.abort();
    for (const cleanup of cleanups.splice(0).reverse()) {
      await cleanup().catch((error) => log("start", messageOf(error)));
    }
  }

  /** Where files lie: beside a database that is kept, else for as long as the stack runs. */
  async function makeStorageFolder(): Promise<string> {
    if (options.database === undefined && options.inMemory === false) {
      return `${paths.state}/storage`;
    }
    const folder = await Deno.makeTempDir({ prefix: "booking-files-" });
    cleanups.push(() => Deno.remove(folder, { recursive: true }));
    return folder;
  }

  try {
    const database = options.database ?? await openDatabase({
      paths,
      inMemory: options.inMemory ?? true,
      ...(options.databaseUrl === undefined ? {} : { databaseUrl: options.databaseUrl }),
      log: (line) => log("database", line),
    });
    if (options.database === undefined) cleanups.push(() => database.close());

    await options.seed?.(database);
    const environment = functionEnvironment(url, keys, options.environment);
    const simulators = createSimulators({
      url,
      environment,
      signal: stopping.signal,
      ...(options.eventflow === undefined ? {} : { eventflow: options.eventflow }),
      ...(options.headout === undefined ? {} : { headout: options.headout }),
      ...(options.now === undefined ? {} : { now: options.now }),
    });
    const api: SupabaseApi = createSupabaseApi({
      database,
      keys,
      url,
      studio: options.studio ?? false,
      log: (line) => log("api", line),
    });
    let functions: Functions = { all: [], get: () => undefined, stop: () => Promise.resolve() };
    route = createGateway({
      database,
      api,
      storage: createStorage({
        database,
        keys,
        folder: await makeStorageFolder(),
        log: (line) => log("storage", line),
      }),
      functions: () => functions,
      simulators: simulators.handlers,
      studio: options.studio ?? false,
    });
    if (options.functions !== false) {
      functions = await startFunctions({ paths, environment, log });
      cleanups.push(functions.stop);
    }
    if (options.ticker !== undefined && options.ticker !== false) {
      const ticker = startTicker({
        ...options.ticker,
        url,
        serviceRoleKey: keys.serviceRoleKey,
        vacuum: () => vacuum(database),
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
      functions,
      eventflow: simulators.eventflow,
      headout: simulators.headout,
      callsUnderWay: () => underWay,
      output: () => output.slice(-2000),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Gives open requests at most two seconds to end. */
async function shutDown(server: Deno.HttpServer): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, 2_000));
  await Promise.race([server.shutdown(), late]);
  clearTimeout(timer);
}
