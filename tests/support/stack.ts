import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { openTestDatabase } from "../../local/database/test_database.ts";
import { signUserToken } from "../../local/keys.ts";
import { projectPaths } from "../../local/paths.ts";
import { type Stack, type StackOptions, startStack } from "../../local/stack.ts";
import { findLeaks, personsOf, secretsOf } from "./leaks.ts";

/** What a function answered, its body as JSON where it is JSON. */
export interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- the tests look into answers of every shape
  readonly body: any;
  readonly headers: Headers;
}

/** A stack with what tests need over and over. */
export interface TestStack extends Stack {
  /** supabase-js with the service role key, as the functions use it. */
  readonly service: SupabaseClient;
  /** A fresh organization with its two connections; returns its id. */
  organization(fields?: { readonly name?: string; readonly time_zone?: string }): Promise<string>;
  /** supabase-js as a member of the organization (`sub` is a new user), or of none. */
  userOf(organizationId?: string): Promise<SupabaseClient>;
  /** POSTs to a function; the body is sent as JSON unless it is a string. */
  post(
    functionName: string,
    body: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
  /** An EventFlow webhook with the right credential. */
  postEventflow(body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** A Headout event with the right key in the URL, for one organization. */
  postHeadout(body: unknown, organizationId?: string): Promise<Answer>;
  /** A call of import-bookings with the service role key. */
  postImport(body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Every line that the functions and the stack have written, `name: line`. */
  lines(): readonly string[];
}

/**
 * One stack for all tests of a file: started before the first, stopped after the last. Returns
 * what registers a test. Runs on PGlite in memory, or with `DATABASE_URL` on a database of its
 * own on that server.
 */
export function useStack(
  options: StackOptions = {},
): (name: string, work: (stack: TestStack) => Promise<void>) => void {
  let stack: TestStack | undefined;
  Deno.test.beforeAll(async () => {
    stack = await startTestStack(options);
  });
  Deno.test.afterAll(async () => {
    await stack?.stop();
  });
  return function stackTest(name, work): void {
    Deno.test({
      name,
      // The stack outlives each test, and so do its server and its processes.
      sanitizeOps: false,
      sanitizeResources: false,
      sanitizeExit: false,
      async fn(): Promise<void> {
        if (stack === undefined) throw new Error("Cannot test: the stack has not started");
        await work(stack);
      },
    });
  };
}

/**
 * Starts a stack for tests; the caller stops it. Stopping it throws if any line of its
 * output has a secret or personal data in it (rule: every function checks its caller).
 */
export async function startTestStack(options: StackOptions = {}): Promise<TestStack> {
  const paths = options.paths ?? projectPaths();
  const databaseUrl = Deno.env.get("DATABASE_URL")?.trim() ?? "";
  const database = options.database ??
    (databaseUrl === "" ? undefined : await openTestDatabase(databaseUrl, paths));
  const own = options.database === undefined ? database : undefined;
  const lines: string[] = [];
  let stack: Stack;
  try {
    stack = await startStack({
      ...options,
      paths,
      ...(database === undefined ? {} : { database }),
      log(name, line): void {
        lines.push(`${name}: ${line}`);
        options.log?.(name, line);
      },
    });
  } catch (error) {
    await own?.close();
    throw error;
  }
  async function stop(): Promise<void> {
    const persons = await personsOf(stack.database).finally(async () => {
      await stack.stop();
      await own?.close();
    });
    const leaks = findLeaks(lines, [...secretsOf(stack.environment), ...persons]);
    if (leaks.length > 0) throw new Error(`The log has what it must not:\n${leaks.join("\n")}`);
  }
  return addHelpers(stack, { stop, lines: () => [...lines] });
}

function addHelpers(stack: Stack, own: Pick<TestStack, "stop" | "lines">): TestStack {
  const { environment, keys, url } = stack;
  const client = (key: string, authorization?: string) =>
    createClient(url, key, {
      auth: { persistSession: false, autoRefreshToken: false },
      ...(authorization === undefined ? {} : { global: { headers: { authorization } } }),
    });

  async function post(
    functionName: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const answer = await fetch(`${url}/functions/v1/${functionName}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, body: parse(text), headers: answer.headers };
  }

  return {
    ...stack,
    ...own,
    service: client(keys.serviceRoleKey),
    post,
    postEventflow: (body, headers = {}) =>
      post("receive-booking", body, { "x-api-key": environment.WEBHOOK_SECRET ?? "", ...headers }),
    postHeadout(body, organizationId): Promise<Answer> {
      const query = new URLSearchParams({ key: environment.HEADOUT_WEBHOOK_KEY ?? "" });
      if (organizationId !== undefined) query.set("organization_id", organizationId);
      return post(`headout-webhook?${query}`, body);
    },
    postImport: (body, headers = {}) =>
      post("import-bookings", body, { authorization: `Bearer ${keys.serviceRoleKey}`, ...headers }),
    async organization(fields = {}): Promise<string> {
      const [row] = await stack.database.query<{ id: string }>(
        `insert into public.organizations (name, time_zone) values ($1, $2) returning id`,
        [fields.name ?? `Test ${crypto.randomUUID()}`, fields.time_zone ?? "Europe/Stockholm"],
      );
      if (row === undefined) throw new Error("Cannot make an organization: no row came back");
      return row.id;
    },
    async userOf(organizationId): Promise<SupabaseClient> {
      const userId = crypto.randomUUID();
      if (organizationId !== undefined) {
        await stack.database.query(
          `insert into public.organization_members (organization_id, user_id, role)
           values ($1, $2, 'planner')`,
          [organizationId, userId],
        );
      }
      return client(keys.publishableKey, `Bearer ${await signUserToken(userId)}`);
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
