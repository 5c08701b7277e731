// The licences of the packages that the bundles contain parts of: their terms want to travel with every copy.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @param {string} root of the checkout
 * @param {Iterable<string>} inputs files that went into the bundles, relative to root
 * @returns {string} name, version, licence and its text of each package, by name
 */
export function thirdPartyLicenses(root, inputs) {
  const folders = new Set(
    [...inputs].flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0] ?? []),
  );
  return [...folders]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
      const texts = readdirSync(join(root, folder))
        .filter((file) => /^(licen[cs]e|notice)/i.test(file))
        .map((file) => `${readFileSync(join(root, folder, file), "utf8").trim()}\n\n`);
      return `${name} ${version}: ${license}\n\n${texts.join("")}${"-".repeat(80)}\n`;
    })
    .join("");
}
