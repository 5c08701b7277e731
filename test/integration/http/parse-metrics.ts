/** One sample as written. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  type: string;
  help: string;
  readonly samples: Sample[];
}

const samplePattern = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const labelPattern = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(,|$)/y;

/** Reads the text format strictly: one HELP and TYPE per family, before its samples, no family twice, no sample twice. Throws otherwise. */
export function parseMetrics(text: string, openMetrics = false): Map<string, Family> {
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current: Family | undefined;
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const lines = text.slice(0, -1).split("\n");
  if (openMetrics && lines.pop() !== "# EOF") throw new Error("no EOF");
  for (const line of lines) {
    if (line === "" && !openMetrics) continue;
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = "", rest = ""] = comment;
      if (current?.name !== name) {
        if (families.has(name)) throw new Error(`${name} comes twice`);
        current = { name, type: "", help: "", samples: [] };
        families.set(name, current);
      }
      if (kind === "HELP") current.help = rest;
      else current.type = rest;
      continue;
    }
    const [, name = "", labelText = "", value = ""] = samplePattern.exec(line) ?? [];
    if (name === "") throw new Error(`cannot read: ${line}`);
    if (current === undefined || !belongs(name, current, openMetrics))
      throw new Error(`${name} stands outside of its family`);
    if (!/^([+-]?(\d+(\.\d+)?(e[+-]?\d+)?|Inf)|NaN)$/i.test(value)) throw new Error(`no number: ${line}`);
    const labels = parseLabels(labelText);
    const key = `${name}${JSON.stringify(Object.entries(labels).sort())}`;
    if (seen.has(key)) throw new Error(`twice: ${line}`);
    seen.add(key);
    current.samples.push({ name, labels, value: Number(value.replace("Inf", "Infinity")) });
  }
  return families;
}

function belongs(name: string, { name: family, type }: Family, openMetrics: boolean): boolean {
  if (type === "histogram") return ["_bucket", "_sum", "_count"].some((suffix) => name === family + suffix);
  if (type === "counter" && openMetrics) return name === `${family}_total`;
  return name === family;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  labelPattern.lastIndex = 0;
  for (let at = 0; at < text.length; at = labelPattern.lastIndex) {
    const [, name = "", value = ""] = labelPattern.exec(text) ?? [];
    if (name === "") throw new Error(`cannot read labels: ${text.slice(at)}`);
    if (name in labels) throw new Error(`label ${name} comes twice`);
    labels[name] = value.replace(/\\(.)/g, (_all, c: string) => (c === "n" ? "\n" : c));
  }
  return labels;
}
