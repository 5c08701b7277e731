const units = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
] as const;

/** How long, at a glance: "0.4s", "12s", "2m5s", "3h10m", "5d2h". Below zero is zero. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))}s`;
  const whole = Math.round(seconds);
  for (const [index, [name, size]] of units.entries()) {
    if (whole < size) continue;
    const [nextName, nextSize] = units[index + 1] ?? (["s", 1] as const);
    const rest = Math.floor((whole % size) / nextSize);
    return `${Math.floor(whole / size)}${name}${rest === 0 ? "" : `${rest}${nextName}`}`;
  }
  return `${whole}s`;
}
