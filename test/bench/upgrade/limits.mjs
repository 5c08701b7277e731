// What ours is held to.
import { median, verdict } from "../bench.mjs";
import { failures } from "./load.mjs";

/** @returns verdicts about `ours`; `losesLike` is compared by upgrade, as the other may have had a different number of them */
export function limits(results) {
  return results
    .filter(({ contender }) => contender.ours)
    .flatMap(({ contender: { name, loses, losesLike }, totals, failed, upgrades, ratios }) => {
      const peer = results.find(({ contender }) => contender.name === losesLike);
      return [
        verdict(`${name}: failed upgrades`, failed.length, 0),
        ...failures.map((each) => verdict(`${name}: ${each}`, totals[each], 0)),
        // nothing measured is nothing shown
        verdict(
          `${name}: p99 in windows, of steady`,
          ratios.length > 0 ? median(ratios) : Number.POSITIVE_INFINITY,
          1.5,
        ),
        ...(loses === undefined ? [] : [verdict(`${name}: kept connections lost in flight`, totals.lost, loses)]),
        ...(peer === undefined || peer.upgrades === 0
          ? []
          : [
              verdict(
                `${name}: kept connections lost, of ${losesLike}'s ${peer.totals.lost}`,
                totals.lost / Math.max(1, upgrades),
                peer.totals.lost / peer.upgrades,
              ),
            ]),
      ];
    });
}
