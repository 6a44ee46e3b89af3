import assert from "node:assert/strict";
import { withoutNoise } from "./schema_check.ts";

Deno.test("withoutNoise() leaves what the schema says, and nothing of the dump itself", () => {
  const dump = `--
-- PostgreSQL database dump
--

\\restrict hB3x

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);


--
-- Name: url_key(text); Type: FUNCTION; Schema: sync; Owner: -
--

CREATE FUNCTION sync.url_key(url text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  -- Without its query.
  select split_part(url, '?', 1)
$$;


\\unrestrict hB3x
`;
  assert.equal(
    withoutNoise(dump),
    `-- PostgreSQL database dump

-- sync: url_key(text); Type: FUNCTION

CREATE FUNCTION sync.url_key(url text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  -- Without its query.
  select split_part(url, '?', 1)
$$;

`,
  );
});
