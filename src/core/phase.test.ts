import assert from "node:assert/strict";
import { test } from "node:test";
import { ignored, next, type Phase, phaseEvents, phases, phaseTable } from "./phase.js";

function successors(phase: Phase): Phase[] {
  return phaseEvents.map((event) => next(phase, event)).filter((to): to is Phase => to !== ignored);
}

test("phaseTable has a cell for every event in every phase", () => {
  for (const phase of phases) assert.deepEqual(Object.keys(phaseTable[phase]).sort(), [...phaseEvents].sort());
});

test("next reaches Terminated from every phase", () => {
  for (const from of phases) {
    const seen = new Set<Phase>([from]);
    for (const phase of seen) for (const to of successors(phase)) seen.add(to);
    assert.ok(seen.has("Terminated"), `${from} never ends`);
  }
});

test("next leaves Terminated for nothing", () => assert.deepEqual(successors("Terminated"), []));

test("next accepts FastShutdown wherever it accepts Terminate", () => {
  for (const phase of phases)
    if (next(phase, "Terminate") !== ignored) assert.notEqual(next(phase, "FastShutdown"), ignored, phase);
});

test("next never goes back once ShutdownStarted", () => {
  const after = phases.slice(phases.indexOf("ShutdownStarted"));
  for (const phase of after)
    for (const to of successors(phase)) assert.ok(phases.indexOf(to) > phases.indexOf(phase), `${phase} -> ${to}`);
});

test("next leads a failed upgrade back to Running", () => {
  assert.equal(next("GracefulUpgradeTransferringFds", "HandoverFailed"), "Running");
  assert.equal(next("GracefulUpgradeCloseTimeout", "SuccessorLost"), "Running");
});

test("next leads a fatal service event to ShutdownStarted from every serving phase", () => {
  for (const phase of [
    "BootstrapComplete",
    "Running",
    "GracefulUpgradeTransferringFds",
    "GracefulUpgradeCloseTimeout",
    "GracefulTerminate",
  ] as const)
    assert.equal(next(phase, "ServiceFatal"), "ShutdownStarted", phase);
});
