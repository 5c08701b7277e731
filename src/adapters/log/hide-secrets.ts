/** Names under which nothing may be logged. What is not logged at all cannot leak; this is for what slips in with an object. */
const secretName = /token|secret|passw(or)?d|passphrase|authorization|cookie|credential|api[-_]?key|private[-_]?key/i;

/** how far down objects are looked through; deeper ones are left as they are */
const depth = 6;

/** The fields with the values of secret names replaced. The same object when there is nothing to hide. */
export function hideSecrets(fields: Record<string, unknown>): Record<string, unknown> {
  return hide(fields, depth) as Record<string, unknown>;
}

function hide(value: unknown, left: number): unknown {
  if (left === 0 || typeof value !== "object" || value === null || value instanceof Error) return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => hide(item, left - 1));
    return items.some((item, i) => item !== value[i]) ? items : value;
  }
  let copy: Record<string, unknown> | undefined;
  for (const [name, found] of Object.entries(value)) {
    const shown = secretName.test(name) && found !== undefined && found !== "" ? "[hidden]" : hide(found, left - 1);
    if (shown === found) continue;
    copy ??= { ...value };
    copy[name] = shown;
  }
  return copy ?? value;
}
