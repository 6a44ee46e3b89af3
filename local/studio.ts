const assets = new URL("./static/", import.meta.resolve("@supabase/lite"));

const contentTypes: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  ico: "image/x-icon",
  js: "text/javascript; charset=utf-8",
  json: "application/json; charset=utf-8",
  png: "image/png",
  svg: "image/svg+xml",
  wasm: "application/wasm",
  woff2: "font/woff2",
};

/**
 * Serves the studio that comes with the API: its assets, and its one page for whatever else a
 * browser asks for. Undefined for other requests, such as a client's mistyped path.
 */
export async function serveStudio(
  request: Request,
  page: (request: Request) => Promise<Response>,
): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/_system")) return await page(request);
  if (request.method !== "GET" && request.method !== "HEAD") return undefined;
  if (pathname.startsWith("/static/")) return await asset(pathname.slice("/static/".length));
  if (request.headers.get("accept")?.includes("text/html")) return await page(request);
  return undefined;
}

async function asset(path: string): Promise<Response | undefined> {
  const file = new URL(path, assets);
  if (!file.href.startsWith(assets.href)) return undefined;
  const type = contentTypes[path.split(".").at(-1) ?? ""] ?? "application/octet-stream";
  try {
    return new Response((await Deno.open(file)).readable, { headers: { "content-type": type } });
  } catch {
    return undefined;
  }
}
