/**
 * Compares what a command printed with what a page shows of it. Line for line; but free are: times, durations, numbers of four digits and more
 * (process ids, ports), the width of gaps, and, for a line `...`, any number of lines.
 */
export function outputMatches(shown: string, printed: string): boolean {
  const patterns = lines(shown).map((line) => (line.trim() === "..." ? undefined : linePattern(line)));
  return matches(patterns, lines(printed));
}

function lines(text: string): string[] {
  const trimmed = text.replace(/\n+$/, "");
  return trimmed === "" ? [] : trimmed.split("\n").map((line) => line.trimEnd());
}

function matches(patterns: readonly (RegExp | undefined)[], printed: readonly string[]): boolean {
  const [pattern, ...rest] = patterns;
  if (patterns.length === 0) return printed.length === 0;
  if (pattern !== undefined)
    return pattern.test(printed[0] ?? "") && printed.length > 0 && matches(rest, printed.slice(1));
  return Array.from({ length: printed.length + 1 }, (_, skipped) => skipped).some((skipped) =>
    matches(rest, printed.slice(skipped)),
  );
}

const free: readonly (readonly [RegExp, string])[] = [
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/y, "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z"],
  [/\d\d:\d\d:\d\d\.\d{3}/y, "\\d\\d:\\d\\d:\\d\\d\\.\\d{3}"],
  [/\d+(\.\d+)? ?(ms|s|min|h)\b/y, "\\d+(\\.\\d+)? ?(ms|s|min|h)"],
  [/"seconds":\d+(\.\d+)?/y, '"seconds":\\d+(\\.\\d+)?'],
  [/\d{4,}/y, "\\d+"],
  [/\s+/y, "\\s+"],
];

function linePattern(line: string): RegExp {
  let pattern = "";
  for (let at = 0; at < line.length; ) {
    const found = free.find(([shape]) => {
      shape.lastIndex = at;
      return shape.test(line);
    });
    if (found === undefined) {
      pattern += (line[at] ?? "").replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      at += 1;
    } else {
      pattern += found[1];
      at = found[0].lastIndex;
    }
  }
  return new RegExp(`^${pattern}$`);
}
