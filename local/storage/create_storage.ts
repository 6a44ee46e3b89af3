import type { Database, Sql } from "../database/database.ts";
import { messageOf } from "../errors.ts";
import type { LocalKeys } from "../keys.ts";
import { type Claims, readCaller, signPath, verifyPath } from "./caller.ts";
import { createFileFolder, isFileName } from "./file_folder.ts";
import { readFormFile } from "./read_form_file.ts";
import { denied, failed, missing, refused, StorageRefusal } from "./refusals.ts";

/** Where files and their names are kept. */
export interface StorageOptions {
  readonly database: Database;
  readonly keys: LocalKeys;
  /** The folder that holds the files; their names are rows of `storage.objects`. */
  readonly folder: string;
  readonly log: (line: string) => void;
}

/** Most bytes of an upload with its envelope. */
const MAX_UPLOAD = 64 * 1024 * 1024;

type Path = readonly [bucket: string, name: string];

/**
 * The part of Supabase's Storage API that the project uses, under `/storage/v1`: upload, download, sign,
 * list and remove. Who may see a file is decided by the policies of `storage.objects`, as on a hosted
 * project; no request without a key is served.
 */
export function createStorage(options: StorageOptions): (request: Request) => Promise<Response> {
  const { database, keys } = options;
  const files = createFileFolder(options.folder);

  /** Runs SQL as the caller, with row level security. */
  function as<T>(claims: Claims, work: (sql: Sql) => Promise<T>): Promise<T> {
    return database.transaction(async (sql) => {
      await sql.query("select set_config('request.jwt.claims', $1, true)", [
        JSON.stringify(claims),
      ]);
      await sql.exec(`set local role ${claims.role}`);
      return await work(sql);
    });
  }

  async function upload(request: Request, claims: Claims, [bucket, name]: Path): Promise<Response> {
    const { content, type } = await readUpload(request);
    const replaces = request.method === "PUT" || request.headers.get("x-upsert") === "true";
    const [limits] = await database.query<{ max: string | null }>(
      "select file_size_limit::text as max from storage.buckets where id = $1",
      [bucket],
    );
    if (limits === undefined) throw missing("Bucket not found");
    if (limits.max !== null && content.byteLength > Number(limits.max)) {
      throw refused(413, "Payload too large", "The object exceeded the maximum allowed size");
    }
    const id = await as(claims, async (sql) => {
      const [row] = await sql.query<{ id: string }>(
        `insert into storage.objects as o (bucket_id, name, owner_id, metadata)
         values ($1, $2, $3, $4::text::jsonb)
         on conflict (bucket_id, name) do ${
          replaces ? "update set metadata = excluded.metadata, updated_at = now()" : "nothing"
        } returning id`,
        [
          bucket,
          name,
          claims.sub ?? null,
          JSON.stringify({ size: content.byteLength, mimetype: type }),
        ],
      );
      if (row === undefined) throw refused(409, "Duplicate", "The resource already exists");
      // Within the transaction: a name without its file would be worse than a file without its name.
      await files.write(`${bucket}/${name}`, content);
      return row.id;
    });
    return Response.json({ Id: id, Key: `${bucket}/${name}` });
  }

  async function download(claims: Claims, [bucket, name]: Path): Promise<Response> {
    const [row] = await as(claims, (sql) =>
      sql.query<{ type: string | null }>(
        `select metadata ->> 'mimetype' as type from storage.objects where bucket_id = $1 and name = $2`,
        [bucket, name],
      ));
    const content = row === undefined ? undefined : await files.read(`${bucket}/${name}`);
    if (content === undefined) throw missing("Object not found");
    return new Response(content, {
      headers: { "content-type": row?.type ?? "application/octet-stream" },
    });
  }

  async function sign(request: Request, claims: Claims, path: Path): Promise<Response> {
    const { expiresIn } = Object(await request.json().catch(() => ({}))) as { expiresIn?: unknown };
    await download(claims, path);
    const seconds = typeof expiresIn === "number" ? expiresIn : 60;
    const token = await signPath(keys, path.join("/"), seconds);
    return Response.json({ signedURL: `/object/sign/${path.join("/")}?token=${token}` });
  }

  async function list(request: Request, claims: Claims, bucket: string): Promise<Response> {
    const { prefix = "", limit = 100, offset = 0 } = Object(
      await request.json().catch(() => ({})),
    ) as { prefix?: string; limit?: number; offset?: number };
    const folder = prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`;
    // One level, as on a hosted project: a folder is a name without an id.
    const rows = await as(claims, (sql) =>
      sql.query(
        `select k.name, case when k.is_file then k.id end as id,
           case when k.is_file then k.metadata end as metadata
         from (
           select distinct on (split_part(substr(o.name, length($2) + 1), '/', 1))
             split_part(substr(o.name, length($2) + 1), '/', 1) as name, o.id, o.metadata,
             strpos(substr(o.name, length($2) + 1), '/') = 0 as is_file
           from storage.objects o
           where o.bucket_id = $1 and starts_with(o.name, $2)
           order by 1, o.name
         ) k order by k.name limit $3 offset $4`,
        [bucket, folder, limit, offset],
      ));
    return Response.json(rows);
  }

  async function remove(request: Request, claims: Claims, bucket: string): Promise<Response> {
    const { prefixes } = Object(await request.json().catch(() => ({}))) as { prefixes?: unknown };
    if (!Array.isArray(prefixes)) throw refused(400, "invalid_request", "prefixes must be a list");
    const rows = await as(claims, (sql) =>
      sql.query<{ name: string }>(
        `delete from storage.objects where bucket_id = $1 and name = any ($2::text[]) returning name`,
        [bucket, prefixes.map(String)],
      ));
    for (const { name } of rows) await files.remove(`${bucket}/${name}`);
    return Response.json(rows);
  }

  async function answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, , , kind = "", ...segments] = pathname.split("/").map(decode);
    if (kind !== "object") throw missing(`There is nothing at ${pathname}`);
    const [first = "", ...rest] = segments;
    if (request.method === "GET" && first === "sign") {
      const path = readPath(rest);
      if (!await verifyPath(keys, path.join("/"), searchParams.get("token") ?? "")) {
        throw refused(400, "InvalidJWT", "The signed URL is not valid any more");
      }
      return await download({ role: "service_role" }, path);
    }
    const claims = await readCaller(request.headers, keys);
    if (claims === undefined) throw denied();
    switch (request.method) {
      case "GET":
        return await download(claims, readPath(first === "authenticated" ? rest : segments));
      case "PUT":
        return await upload(request, claims, readPath(segments));
      case "DELETE":
        return await remove(request, claims, first);
      case "POST":
        if (first === "list") return await list(request, claims, rest[0] ?? "");
        if (first === "sign") return await sign(request, claims, readPath(rest));
        return await upload(request, claims, readPath(segments));
      default:
        throw refused(405, "method_not_allowed", `${request.method} is not served here`);
    }
  }

  return async function storage(request) {
    try {
      return await answer(request);
    } catch (error) {
      if (error instanceof StorageRefusal) return error.response();
      // A policy that lets nobody write answers like this.
      if ((error as { code?: unknown }).code === "42501") return denied().response();
      options.log(messageOf(error));
      return failed().response();
    } finally {
      await request.body?.cancel().catch(() => {});
    }
  };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw refused(400, "InvalidKey", "The path is not well formed");
  }
}

function readPath([bucket = "", ...rest]: readonly string[]): Path {
  const name = rest.join("/");
  if (!isFileName(bucket) || !isFileName(name)) {
    throw refused(400, "InvalidKey", `Invalid key: ${name.slice(0, 200)}`);
  }
  return [bucket, name];
}

/** The content of an upload: the body itself, or the file of a form, as supabase-js sends a Blob. */
async function readUpload(
  request: Request,
): Promise<{ readonly content: Uint8Array; readonly type: string }> {
  if (Number(request.headers.get("content-length") ?? 0) > MAX_UPLOAD) {
    throw refused(413, "Payload too large", "The object exceeded the maximum allowed size");
  }
  const type = request.headers.get("content-type") ?? "application/octet-stream";
  if (!type.startsWith("multipart/form-data")) {
    return { content: new Uint8Array(await request.arrayBuffer()), type };
  }
  const file = readFormFile(new Uint8Array(await request.arrayBuffer()), type);
  if (file === undefined) throw refused(400, "invalid_request", "The form has no file");
  return file;
}
