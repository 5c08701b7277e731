// One case: start, light load, an upgrade, the hit, and what must be so afterwards.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nowMs, until } from "../bench/bench.mjs";
import { startLoad } from "../bench/upgrade/load.mjs";
import { freePort } from "../bench/upgrade/processes.mjs";
import { excuses, wakesBeforeNext } from "./matrix.mjs";
import { owners } from "./owners.mjs";

const pauseMs = 10_000;
/** How long the last generation is watched, alone. */
const afterwardsMs = 500;
/** A process that is to be hit, and is not there yet, appears within this. */
const appearMs = 2_000;

const light = ({ tcp, unix }) => [
  `new,${tcp},40,64`,
  `keep,${tcp},20,4`,
  `new,${unix},10,32`,
  `post,${tcp},1,8`,
  `stream,${tcp},0.4,8`,
];

/** Resolves at the step: on the victim's own side where that side tells of it, else on the other. */
function reached(running, { side, step }) {
  if (typeof step === "number") return new Promise((done) => setTimeout(() => done(true), step));
  return new Promise((done) => {
    running.onStep((told) => {
      if (told.step !== step) return;
      if (told.side === side) done(true);
      else setTimeout(() => done(true), 300).unref();
    });
  });
}

async function hit(running, one, wounded, result) {
  // where there is no such process at a random moment, the moment is just past: nothing is hit
  const victim = await until("the victim", () => running.processes()[one.role]?.[one.side], appearMs).catch(() => 0);
  if (victim === 0) return false;
  // the step may be over by now: what nobody could have helped then is excused
  const { owner, attempt } = running.journal() ?? {};
  result.ownedByNew = owner?.release === "r2" && attempt?.state !== "committed";
  try {
    process.kill(victim, one.how === "kill" ? "SIGKILL" : "SIGSTOP");
  } catch {
    return false;
  }
  if (one.how !== "kill") wounded.add(victim);
  if (one.how === "pause") setTimeout(() => wake(victim, wounded), pauseMs).unref();
  return true;
}

function wake(pid, wounded) {
  if (!wounded.delete(pid)) return;
  try {
    process.kill(pid, "SIGCONT");
  } catch {
    // it was killed meanwhile
  }
}

/** The next upgrade: busy is no answer for ever, a failure is one at once. */
async function nextUpgrade(running, generation, deadline, withinMs) {
  for (;;) {
    const { code, said } = await running.upgrade(generation, { timeoutMs: withinMs });
    if (code === 0 || code !== 75 || nowMs() > deadline) return { code, said };
    await new Promise((wait) => setTimeout(wait, 500));
  }
}

export const nothingYet = (one) => ({
  one,
  problems: [],
  excused: [],
  hit: false,
  ownedByNew: false,
  upgrade: "",
  owner: "",
  settledMs: 0,
  next: "",
  counters: undefined,
});

/**
 * @returns {Promise<object>} what happened, and `problems`: empty when all that must be so is so
 * `limits`: { upgradeMs: the requester hears within; settleMs: one owner within; nextMs: the next upgrade within; keep: a failed case's folder stays }
 */
export async function oneCase(product, one, limits) {
  const dir = mkdtempSync(join(tmpdir(), "pe-crash-"));
  const place = { dir, port: await freePort(), socket: join(dir, "web.sock"), topology: one.topology };
  const wounded = new Set();
  const problems = [];
  const result = { ...nothingYet(one), problems };
  const running = await product.start(place, one);
  const load = startLoad(light({ tcp: `127.0.0.1:${place.port}`, unix: `unix:${place.socket}` }), {
    timeoutMs: 30_000,
  });
  try {
    const atStep = one.role === undefined ? undefined : reached(running, one);
    const upgrade = running.upgrade(2, { timeoutMs: limits.upgradeMs });
    if (atStep !== undefined) {
      const first = await Promise.race([
        atStep.then(() => "step"),
        upgrade.then(() => new Promise((done) => setTimeout(() => done("over"), limits.afterMs).unref())),
      ]);
      if (first === "step") result.hit = await hit(running, one, wounded, result);
      else if (typeof one.step !== "number") problems.push("the step was never told");
    }
    const from = nowMs();
    const { code, said } = await upgrade;
    result.upgrade = code === 0 ? "done" : code === 75 ? "busy" : code === "late" ? "late" : `failed: ${said}`;
    if (code === "late") {
      const excuse = one.role === undefined ? undefined : excuses(one, false, result.ownedByNew).late;
      const late = `the requester heard nothing for ${limits.upgradeMs / 1_000} s`;
      if (excuse === undefined) problems.push(late);
      else result.excused.push(`${late}: ${excuse}`);
    }
    if (one.role === undefined && code !== 0) problems.push(`an undisturbed upgrade failed: ${said}`);
    await settle(running, place, from, limits, result);
    if (wakesBeforeNext(one)) for (const pid of [...wounded]) wake(pid, wounded);
    const next = await nextUpgrade(running, 3, nowMs() + limits.nextMs, limits.upgradeMs);
    result.next = next.code === 0 ? "done" : `failed: ${next.said}`;
    if (next.code !== 0) problems.push(`the next upgrade ended with ${next.code}: ${next.said}`);
    else {
      await settle(running, place, nowMs(), limits, { ...result, expected: "r3" });
      // not before: the old one accepts until its services have been told to end
      load.generation(3);
      await new Promise((wait) => setTimeout(wait, afterwardsMs));
    }
  } catch (error) {
    problems.push(error.message);
  } finally {
    for (const pid of [...wounded]) wake(pid, wounded);
  }
  result.counters = await load.stop().then((report) => judge(report, result));
  await running.end();
  if (limits.keep && problems.length > 0) problems.push(`kept: ${dir}`);
  else rmSync(dir, { recursive: true, force: true });
  return result;
}

/** Exactly one owner: told by the journal, holding the lock, and answering alone. */
async function settle(running, place, from, limits, result) {
  let last = "";
  try {
    await until(
      "one owner",
      async () => {
        const found = await owners(running, place);
        last = found.problem ?? (result.expected && found.owner !== result.expected ? `${found.owner} owns` : "");
        result.owner = found.owner ?? "?";
        return last === "";
      },
      limits.settleMs,
    );
    result.settledMs = nowMs() - from;
  } catch {
    result.problems.push(`not one owner within ${limits.settleMs / 1_000} s: ${last}`);
  }
}

/** Counters against what must be so; an excuse that was used is kept. */
function judge({ total, jobs, samples }, result) {
  const { one, problems, excused } = result;
  const allowed = one.role === undefined ? {} : excuses(one, result.upgrade === "done", result.ownedByNew);
  const of = (modes, name) =>
    jobs.filter(({ mode }) => modes.includes(mode)).reduce((sum, counters) => sum + counters[name], 0);
  const blame = (modes, name, excuse) => {
    const count = of(modes, name);
    if (count === 0) return;
    const first = samples.find(({ outcome, mode }) => outcome === name && modes.includes(mode));
    if (excuse === undefined) problems.push(`${count} ${name} (${first?.mode}: ${first?.detail})`);
    else excused.push(`${count} ${name}: ${excuse}`);
  };
  const [quick, slow] = [
    ["new", "keep"],
    ["post", "stream"],
  ];
  const broken = allowed.broken ?? allowed.refused;
  blame([...quick, ...slow], "refused", allowed.refused);
  for (const name of ["reset", "unanswered"]) {
    blame(quick, name, broken);
    blame(slow, name, broken ?? allowed.slow);
  }
  blame(slow, "cut", broken ?? allowed.slow);
  for (const name of ["wrong", "ownFault"]) blame([...quick, ...slow], name, undefined);
  return total;
}
