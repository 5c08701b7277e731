const colours: Readonly<Record<string, string>> = {
  debug: "\x1b[2m",
  info: "",
  warn: "\x1b[33m",
  error: "\x1b[31m",
  fatal: "\x1b[31m",
};

/** One line for people: time, level when it is not info, message, and the fields that the message does not say already. */
export function prettyLine(fields: Readonly<Record<string, unknown>>, colour: boolean): string {
  const {
    time,
    level,
    message,
    phase: _phase,
    from: _from,
    to: _to,
    event: _event,
    instance: _instance,
    state: _state,
    err,
    ...rest
  } = fields;
  const clock = String(time).slice(11, 23);
  const label = level === "info" ? "" : `${String(level)}: `;
  const extras = Object.entries(rest).map(
    ([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const stack = (err as { stack?: string } | undefined)?.stack;
  const text = `${label}${String(message)}`;
  const [on, off, dim] = colour ? [colours[String(level)] ?? "", "\x1b[0m", "\x1b[2m"] : ["", "", ""];
  return `${dim}${clock}${off} ${on}${text}${off}${dim}${extras.join("")}${off}\n${stack === undefined ? "" : `${stack}\n`}`;
}
