import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../test/fakes/random.js";
import type { Cell, StateFacts, Table } from "./handover-machine.js";
import { newInputs, newStateFacts, newStates, newTable } from "./handover-new.js";
import { oldInputs, oldStateFacts, oldStates, oldTable } from "./handover-old.js";

interface Side {
  readonly name: string;
  readonly states: readonly string[];
  readonly inputs: readonly string[];
  readonly table: Table<string, string, string>;
  readonly facts: Readonly<Record<string, StateFacts<string>>>;
}
const sides: readonly Side[] = [
  { name: "oldTable", states: oldStates, inputs: oldInputs, table: oldTable, facts: oldStateFacts },
  { name: "newTable", states: newStates, inputs: newInputs, table: newTable, facts: newStateFacts },
];

function cellOf(side: Side, state: string, input: string): Cell<string, string> {
  const cell = side.table[state]?.[input];
  assert.ok(cell !== undefined, `${side.name}: ${state} has no cell for ${input}`);
  return cell;
}

const ends = (effects: readonly string[]) => effects.filter((effect) => effect.startsWith("end "));

for (const side of sides) {
  test(`${side.name} has a cell for every state and input, and no other`, () => {
    assert.deepEqual(Object.keys(side.table).sort(), [...side.states].sort());
    for (const state of side.states) {
      assert.deepEqual(Object.keys(side.table[state] ?? {}).sort(), [...side.inputs].sort(), state);
      for (const input of side.inputs) {
        const cell = cellOf(side, state, input);
        if (cell !== "stay") assert.ok(side.states.includes(cell.to), `${state} ${input}`);
      }
    }
  });

  test(`${side.name} reaches over from every state, and every state from the first`, () => {
    const reach = (from: string) => {
      const seen = new Set([from]);
      for (const state of seen)
        for (const input of side.inputs) {
          const cell = cellOf(side, state, input);
          if (cell !== "stay") seen.add(cell.to);
        }
      return seen;
    };
    for (const state of side.states) assert.ok(reach(state).has("over"), state);
    assert.deepEqual([...reach("greeting")].sort(), [...side.states].sort());
  });

  test(`${side.name} ends exactly once on every way to over`, () => {
    const random = seeded(7);
    for (let walk = 0; walk < 20_000; walk++) {
      let state = "greeting";
      let ended: string[] = [];
      for (let step = 0; step < 60 && state !== "over"; step++) {
        const input = side.inputs[Math.floor(random() * side.inputs.length)] ?? "";
        const cell = cellOf(side, state, input);
        if (cell === "stay") continue;
        ended = [...ended, ...ends(cell.effects)];
        if (cell.to === "over") assert.ok(ended.length > 0, `${state} ${input}`);
        state = cell.to;
      }
      // superseded is told as soon as it is known, and the drain goes on
      assert.ok(ended.filter((end) => end !== "end superseded").length <= 1, ended.join());
    }
  });

  test(`${side.name} ends every state by its deadline, silence or loss, or by its own runtime`, () => {
    for (const state of side.states) {
      const { wait, watches, retry } = side.facts[state] ?? assert.fail(state);
      if (wait !== undefined) assert.notEqual(cellOf(side, state, "timeout"), "stay", state);
      if (watches) assert.notEqual(cellOf(side, state, "silent"), "stay", state);
      if (retry !== undefined) assert.equal(cellOf(side, state, "unavailable"), "stay", state);
    }
  });
}

test("oldTable never writes finalized but after a sign of life, and leaves committed only through the journal", () => {
  for (const state of oldStates)
    for (const input of oldInputs) {
      const cell = oldTable[state][input];
      if (cell === "stay") continue;
      if (cell.effects.includes("write finalized"))
        assert.ok(state === "proving" && ["heard", "PROBATION"].includes(input), `${state} ${input}`);
      if (state === "committed" || state === "probation")
        assert.ok(["probation", "reclaiming", "proving"].includes(cell.to), `${state} ${input}`);
    }
});

test("newTable leaves committed and probation only through the journal or by FINALIZE", () => {
  for (const state of ["committed", "probation", "renouncing"] as const)
    for (const input of newInputs) {
      const cell = newTable[state][input];
      if (cell === "stay") continue;
      const allowed = input === "FINALIZE" ? ["settled", "deciding"] : ["probation", "renouncing", "deciding"];
      assert.ok(allowed.includes(cell.to), `${state} ${input}`);
    }
});
