/** The candidate that was probably meant: equal but for case and separators, or a few typing errors away; undefined when none is near. */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  const bare = plain(word);
  if (bare === "") return undefined;
  let best: string | undefined;
  // none in a single letter, one in a short word, a third of the letters in a long one
  let bestDistance =
    bare.length < 2
      ? 1
      : bare.length < 3
        ? 1.5
        : bare.length < 5
          ? 2
          : Math.max(2.1, Math.floor(bare.length / 3) + 0.5);
  for (const candidate of candidates) {
    const distance = likeness(bare, plain(candidate), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best === word ? undefined : best;
}

/** A word cut short, or one with something behind it, counts as near: log and logging, grace_period and gracePeriodSeconds. */
function likeness(word: string, candidate: string, limit: number): number {
  const [short, long] = word.length < candidate.length ? [word, candidate] : [candidate, word];
  const cut = short.length >= 3 && long.startsWith(short) ? 2 - short.length / long.length / 2 : limit;
  return Math.min(cut, typingDistance(word, candidate, limit));
}

function plain(word: string): string {
  return word.toLowerCase().replace(/[-_. ]/g, "");
}

/** Insertions, deletions, substitutions and swaps of neighbours that lead from `a` to `b`; some number >= `limit` when there are more. */
export function typingDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1));
      if (!same && i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      row.push(cost);
      least = Math.min(least, cost);
    }
    if (least >= limit) return limit;
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
