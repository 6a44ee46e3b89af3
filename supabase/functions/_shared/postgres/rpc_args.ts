import type { Database, Json } from "./database.types.ts";

type Functions = Database["public"]["Functions"];

/** A function of the database that may be called by name. */
export type RpcName = keyof Functions;

/**
 * What the function of that name takes, as the generated types have it: a name that is misspelt, or
 * one that a migration took away, does not compile. What has a default may be null, which the
 * generator cannot say; JSON is anything that can be written as such.
 */
export type RpcArgs<Name extends RpcName> = {
  readonly [Argument in keyof Functions[Name]["Args"]]: Argued<Functions[Name]["Args"], Argument>;
};

type Argued<Args, Argument extends keyof Args> = Json extends Exclude<Args[Argument], undefined>
  ? unknown
  : Partial<Pick<Args, Argument>> extends Pick<Args, Argument> ? Args[Argument] | null
  : Args[Argument];
