import assert from "node:assert/strict";
import { OperatorError } from "../errors.ts";
import { draftMigration, isDraft, isReleased, nextVersion, readName } from "./migration_files.ts";

const update = { description: "", statement: "update sync.rules\nset days = 1" };

Deno.test("readName() takes snake_case and refuses anything else", () => {
  assert.equal(readName("add_booking_tags2", []), "add_booking_tags2");
  for (const name of ["", "AddTags", "add-tags", "add__tags", "2_tags", "add_", "--baseline"]) {
    assert.throws(
      () => readName(name, []),
      (error) => error instanceof OperatorError && error.message.includes("snake_case"),
      name,
    );
  }
});

Deno.test("readName() refuses the name of another migration", () => {
  assert.throws(() => readName("add_tags", [{ name: "add_tags" }]), /there is one of that name/);
});

Deno.test("nextVersion() is the instant in UTC", () => {
  assert.equal(
    nextVersion(new Date("2027-02-03T04:05:06.700Z"), [{ version: "20261126000000" }]),
    "20270203040506",
  );
});

Deno.test("nextVersion() comes after the last migration when that is ahead of the clock", () => {
  assert.equal(
    nextVersion(new Date("2026-01-01T00:00:00Z"), [{ version: "20261231235959" }]),
    "20270101000000",
  );
});

Deno.test("draftMigration() has the CLI's statements, then the rows, under a head to complete", () => {
  const draft = draftMigration({ sql: "drop view public.a;", rows: [update] });
  assert.match(
    draft ?? "",
    /^-- Purpose: DRAFT: .*\n-- Compatibility: DRAFT: .*\n\ndrop view public\.a;\n\nupdate sync\.rules\nset days = 1;\n$/,
  );
  assert.equal(isDraft({ script: draft ?? "" }), true);
});

Deno.test("draftMigration() has nothing to write when nothing differs", () => {
  assert.equal(draftMigration({ sql: "", rows: [] }), undefined);
});

Deno.test("isDraft() is over when a person has completed the head", () => {
  const head = "-- Purpose: bookings have tags.\n-- Compatibility: nobody reads them yet.\n";
  assert.equal(isDraft({ script: `${head}\nselect 'DRAFT: x';\n` }), false);
  assert.equal(isDraft({ script: `-- Purpose: tags.\n-- Compatibility: DRAFT: what.\n` }), true);
});

Deno.test("isReleased() once the changelog has a version", () => {
  assert.equal(isReleased("# Changelog\n\n## Unreleased\n\n- First\n"), false);
  assert.equal(isReleased("# Changelog\n\n## Unreleased\n\n## 1.0.0\n\n- First\n"), true);
});
