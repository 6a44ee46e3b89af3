import type { Tap } from "./tap.ts";

/** A place on the way of one request at which everything stands still. */
export interface Checkpoint {
  /** Resolves when the request has come so far. */
  readonly reached: Promise<void>;
  /** Lets it go on; `lost`: its sender is gone, and it never arrives. */
  release(how?: "lost"): void;
}

/** Where to stop: before the request is passed on, or when it has been answered. */
export type Stage = "request" | "answer";

/** Stops the next request to `path` that passes a tap. Waits 20 s at most, so that no test hangs. */
export function stopAt(
  tap: Tap,
  options: { readonly path: string; readonly stage: Stage; readonly target: string },
): Checkpoint {
  const reached = Promise.withResolvers<void>();
  const released = Promise.withResolvers<"lost" | undefined>();
  const timer = setTimeout(() => {
    reached.reject(new Error(`Nothing came to ${options.path}`));
    released.resolve(undefined);
  }, 20_000);
  tap.intercept(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname !== options.path) return undefined;
    tap.intercept();
    if (options.stage === "request") {
      reached.resolve();
      return await released.promise === "lost" ? new Response(null, { status: 499 }) : undefined;
    }
    const headers = new Headers(request.headers);
    headers.delete("host");
    headers.set("accept-encoding", "identity");
    const answer = await fetch(options.target + pathname, {
      method: "POST",
      headers,
      body: await request.arrayBuffer(),
    });
    const body = await answer.arrayBuffer();
    reached.resolve();
    await released.promise;
    return new Response(body, { status: answer.status, headers: answer.headers });
  });
  return {
    reached: reached.promise,
    release(how): void {
      clearTimeout(timer);
      released.resolve(how);
    },
  };
}
