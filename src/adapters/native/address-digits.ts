/** "127.0.0.1" -> "7f000001", "::1" -> 31 zeros and a 1: an address as on the wire. An IPv6 scope is left out. */
export function addressDigits(host: string): string {
  if (!host.includes(":")) return ipv4Digits(host);
  const [bare = ""] = host.split("%");
  const [head = "", tail] = bare.split("::");
  const [first, last] = [groupsOf(head), groupsOf(tail ?? "")];
  return [...first, ...new Array<string>(Math.max(0, 8 - first.length - last.length)).fill("0000"), ...last].join("");
}

function groupsOf(text: string): string[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [group.padStart(4, "0")];
    const digits = ipv4Digits(group);
    return [digits.slice(0, 4), digits.slice(4)];
  });
}

function ipv4Digits(host: string): string {
  return host
    .split(".")
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("");
}
