const marks: Readonly<Record<string, { readonly word: string; readonly colour: string }>> = {
  trace: { word: "trace", colour: "\x1b[2m" },
  debug: { word: "debug", colour: "\x1b[2m" },
  info: { word: "", colour: "" },
  warn: { word: "warning", colour: "\x1b[33m" },
  error: { word: "error", colour: "\x1b[31m" },
  fatal: { word: "fatal", colour: "\x1b[31m" },
};
const dim = "\x1b[2m";
const off = "\x1b[0m";

/** A message names these already. */
const said = new Set(["logger", "from", "to", "event", "instance", "state", "cause", "exitCode", "killed", "lines"]);

/** One line for people: local time, what is wrong when something is, the message, and the fields that the message does not say. */
export function prettyLine(fields: Readonly<Record<string, unknown>>, colour: boolean): string {
  const { time, level, message, phase: _phase, err, ...rest } = fields;
  const { word, colour: tint } = marks[String(level)] ?? { word: String(level), colour: "" };
  const paint = (code: string, text: string): string =>
    colour && code !== "" && text !== "" ? `${code}${text}${off}` : text;
  const text = `${word === "" ? "" : `${word}: `}${visible(String(message))}`;
  const extras = Object.entries(rest).flatMap(([name, value]) =>
    said.has(name) || isEmpty(value) ? [] : [` ${name}=${visible(plain(value))}`],
  );
  const line = `${paint(dim, clockText(String(time)))} ${paint(tint, text)}${paint(dim, extras.join(""))}\n`;
  return `${line}${paint(dim, errorText(err))}`;
}

function clockText(time: string): string {
  const at = new Date(time);
  const two = (number: number): string => String(number).padStart(2, "0");
  const millis = String(at.getMilliseconds()).padStart(3, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${millis}`;
}

function plain(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value) ?? String(value);
  return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}

function isEmpty(value: unknown): boolean {
  return value === "" || (Array.isArray(value) && value.length === 0);
}

/** What a service says must not move the cursor or colour the terminal. */
function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) =>
    character === "\n" ? "\n    " : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

function errorText(err: unknown): string {
  const stack = (err as { stack?: unknown } | undefined)?.stack;
  if (typeof stack !== "string") return "";
  return stack
    .split("\n")
    .map((line) => `    ${visible(line.trim())}\n`)
    .join("");
}
