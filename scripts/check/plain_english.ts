// Refuses the phrases of phrases.ts in code, docs and scripts: `plain_english.ts [PATH...]`, by default the whole checkout.
import { join } from "node:path";
import { EXEMPT, PHRASES } from "./phrases.ts";

const ROOT = join(import.meta.dir, "..", "..");
const READ = /(?:\.(?:ts|mjs|md|sh|service|env|svg)|\.ci\/[a-z]+)$/;
/** Recorded or generated texts, and the list itself. */
const UNREAD = /^(?:tests\/fixtures\/|docs\/schema\/|scripts\/check\/phrases\.ts)/;

/** What to write instead of what this line holds, each with the words that were found. */
function findPhrases(line: string): string[] {
  const text = EXEMPT.reduce((left, name) => left.replaceAll(name, ""), line);
  return PHRASES.flatMap(({ pattern, instead }) => {
    const found = pattern.exec(text)?.[0].trim();
    return found === undefined ? [] : [`"${found}": ${instead}`];
  });
}

const paths = Bun.argv.slice(2);
const listed = Bun.spawnSync(["git", "ls-files", "-co", "--exclude-standard", "--deduplicate", "--", ...paths], {
  cwd: ROOT,
});
const files = listed.stdout
  .toString()
  .trim()
  .split("\n")
  .filter((path) => READ.test(path) && !UNREAD.test(path));
let found = 0;
for (const path of files) {
  const file = Bun.file(join(ROOT, path));
  // Deleted, and not yet committed.
  if (!(await file.exists())) continue;
  for (const [index, line] of (await file.text()).split("\n").entries()) {
    for (const fault of findPhrases(line)) {
      found++;
      console.log(`${path}:${index + 1}: ${fault}`);
    }
  }
}
if (found > 0) console.log(`${found} phrases to replace`);
process.exit(found === 0 ? 0 : 1);
