/** As node:net's, which would cost a container's start three milliseconds to load. A test holds the two together. */
export function isIPv4(text: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(text);
}

/** Without a zone (%eth0): a listener binds an address of every boot. */
export function isIPv6(text: string): boolean {
  const ipv4 = /^(.*:)([\d.]+\.[\d.]+)$/.exec(text);
  if (ipv4 !== null) return isIPv4(ipv4[2] ?? "") && isIPv6(`${ipv4[1]}0:0`);
  if (!/^[0-9a-fA-F:]+$/.test(text)) return false;
  const sides = text.split("::");
  if (sides.length > 2) return false;
  const groups = sides.flatMap((side) => (side === "" ? [] : side.split(":")));
  const complete = sides.length === 2 ? groups.length <= 7 : groups.length === 8;
  return complete && groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group));
}
