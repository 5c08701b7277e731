import { EntryError, type Problem } from "../../core/entry-error.js";
import type { Gathered } from "./complaints.js";
import type { NamedText } from "./layers.js";

/** All that is wrong as one error: by file in the order of `texts`, then by place. */
export function failure({ problems }: Gathered, texts: readonly NamedText[]): EntryError {
  const at = (problem: Problem): readonly number[] => [
    rank(problem, texts),
    problem.source?.line ?? 0,
    problem.source?.column ?? 0,
  ];
  const sorted = [...problems].sort((a, b) => {
    const [left, right] = [at(a), at(b)];
    return left.map((value, i) => value - (right[i] ?? 0)).find((difference) => difference !== 0) ?? 0;
  });
  const faulty = [...new Set(sorted.flatMap(({ source }) => (source?.line === undefined ? [] : [`"${source.name}"`])))];
  const what = faulty.length === 0 || faulty.length > 3 ? "the configuration" : faulty.join(" and ");
  const count = `${problems.length} ${problems.length === 1 ? "problem" : "problems"}`;
  return new EntryError("config", `cannot use ${what}: ${count}`, { problems: sorted });
}

/** Files in their order, then variables and options. */
function rank(problem: Problem, texts: readonly NamedText[]): number {
  const index = texts.findIndex(({ name }) => name === problem.source?.name);
  return index === -1 ? texts.length : index;
}
