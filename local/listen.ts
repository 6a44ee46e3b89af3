import { messageOf, OperatorError } from "./errors.ts";
import { jsonResponse } from "./json_response.ts";

/**
 * Listens on 127.0.0.1 only; port 0 is any free port. Throws an `OperatorError` that names PORT if
 * the port is taken. What the handler throws is logged and answered with 500.
 */
export function listen(
  port: number,
  handle: (request: Request, peerAddress: string) => Promise<Response>,
  log: (line: string) => void,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({
      hostname: "127.0.0.1",
      port,
      onListen: () => {},
      onError(error): Response {
        log(`the gateway failed: ${messageOf(error)}`);
        return jsonResponse({ message: "The local gateway failed; its terminal says why" }, 500);
      },
    }, (request, info) => {
      // The URL is made of the Host header, which anybody writes.
      if (URL.parse(request.url) !== null) return handle(request, info.remoteAddr.hostname);
      return jsonResponse({ message: "The Host header is malformed" }, 400);
    });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new OperatorError(
      `Cannot listen on 127.0.0.1:${port}: the port is taken. Set PORT to another one.`,
      { cause: error },
    );
  }
}
