import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { JournalFile } from "../../../src/adapters/handover/journal-file.js";

test("a journal that cannot be read is not said to be one that cannot be written", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "pe-journal-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const journal = new JournalFile(directory, () => {});
  mkdirSync(journal.path);
  const { kind, reason } = journal.update((before) => before) as { kind: string; reason?: string };
  assert.equal(kind, "unavailable");
  assert.match(reason ?? "", /^cannot read the upgrade journal: EISDIR/);
});
