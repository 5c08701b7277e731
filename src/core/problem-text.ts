import type { EntryError, Problem } from "./entry-error.js";

/** More are counted, not printed: the first mistake often explains the rest. */
const printed = 100;

/**
 * What the user sees of an EntryError; ends with a newline. Problems of one file stand under it by line and column; those of several
 * files, of variables and of options are grouped by where they were found.
 *
 *     pingora-entry: cannot use "config.yaml": 2 problems
 *       14:18  services.web.dependsOn[1]: unknown service "chache"; did you mean "cache"?
 *        3:3   shutdown: stopping web, api, db needs 45 s but the pod grants 30 s (terminationGracePeriodSeconds)
 */
export function problemText(program: string, error: Pick<EntryError, "message" | "problems">): string {
  const head = `${program}: ${error.message}\n`;
  const shown = error.problems.slice(0, printed);
  const rest = error.problems.length - shown.length;
  const groups = groupBySource(shown);
  const [only] = groups.keys();
  const named = only !== undefined && error.message.includes(`"${only}"`);
  const single = groups.size === 1 && named && shown.every((problem) => problem.source?.line !== undefined);
  const body = [...groups].map(([name, problems]) => {
    const indent = single || name === "" ? "  " : "    ";
    const title = single || name === "" ? "" : `  ${name}\n`;
    return title + problemLines(problems, indent);
  });
  const more = rest > 0 ? `  ... and ${rest} more\n` : "";
  return head + body.join("") + more;
}

/** All of an error in one line, as the reason of something else. */
export function reasonText({ message, problems = [] }: Error & Partial<Pick<EntryError, "problems">>): string {
  return problems.length === 0 ? message : `${message}: ${problems.map(problemSentence).join("; ")}`;
}

/** One problem without its place: `path: message; hint`. */
export function problemSentence(problem: Problem): string {
  const path = problem.path === undefined || problem.path === "" ? "" : `${problem.path}: `;
  const hint = problem.hint === undefined ? "" : `; ${problem.hint}`;
  return path + problem.message + hint;
}

/** `name:line:column`, as far as it is known; "" for no source. */
export function sourceText(source: Problem["source"]): string {
  if (source === undefined) return "";
  return source.line === undefined ? source.name : `${source.name}:${source.line}:${source.column ?? 1}`;
}

function groupBySource(problems: readonly Problem[]): Map<string, Problem[]> {
  const groups = new Map<string, Problem[]>();
  for (const problem of problems) {
    const name = problem.source?.name ?? "";
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [problem]);
    else group.push(problem);
  }
  return groups;
}

function problemLines(problems: readonly Problem[], indent: string): string {
  const lines = problems.map((problem) => problem.source?.line?.toString() ?? "");
  const columns = problems.map((problem) =>
    problem.source?.line === undefined ? "" : `:${problem.source.column ?? 1}`,
  );
  const lineWidth = Math.max(...lines.map((line) => line.length));
  const columnWidth = Math.max(...columns.map((column) => column.length));
  return problems
    .map((problem, i) => {
      const place = `${lines[i]?.padStart(lineWidth)}${columns[i]?.padEnd(columnWidth)}`;
      const gap = place === "" ? "" : "  ";
      return `${indent}${place}${gap}${problemSentence(problem)}\n`;
    })
    .join("");
}
