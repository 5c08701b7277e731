/** Who knocked and has not asked yet, in the order in which they came. */
export interface Knock {
  /** process at the other end; 0: of another container, which one is not known */
  readonly pid: number;
  /** it has said nothing so far */
  readonly silent: boolean;
}

/**
 * Who gives way when there are more than there are places: one of the process that has the most of them, so that nobody keeps others out
 * by taking all; of these the oldest that has said nothing, for who is in earnest speaks at once. Undefined: there is nobody.
 */
export function givesWay<T extends Knock>(knocks: readonly T[]): T | undefined {
  const counts = new Map<number, number>();
  for (const { pid } of knocks) counts.set(pid, (counts.get(pid) ?? 0) + 1);
  const most = Math.max(...counts.values());
  const crowd = knocks.filter(({ pid }) => counts.get(pid) === most);
  return crowd.find(({ silent }) => silent) ?? crowd[0];
}
