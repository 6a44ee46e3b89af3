/** What Storage answers in place of doing what it was asked. */
export class StorageRefusal extends Error {
  override readonly name = "StorageRefusal";

  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }

  response(): Response {
    const { status, code, message } = this;
    return Response.json({ statusCode: String(status), error: code, message }, { status });
  }
}

/** A refusal with a status of its own. */
export function refused(status: number, code: string, message: string): StorageRefusal {
  return new StorageRefusal(status, code, message);
}

/** Nothing there, or nothing that the caller may see: both look alike. */
export function missing(message: string): StorageRefusal {
  return new StorageRefusal(404, "not_found", message);
}

/** No key, a key that is not ours, or a caller who may not write. */
export function denied(): StorageRefusal {
  return new StorageRefusal(403, "Unauthorized", "A key that may do this is needed");
}

/** A fault of ours. */
export function failed(): StorageRefusal {
  return new StorageRefusal(500, "internal", "Storage failed; see the stack's output");
}
