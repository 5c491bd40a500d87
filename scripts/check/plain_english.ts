// Refuses the phrases of phrases.ts in code, docs and scripts: `plain_english.ts [PATH...]`, by default the whole checkout.
import { join } from "node:path";
import { EXEMPT, PHRASES } from "./phrases.ts";

const ROOT = join(import.meta.dir, "..", "..");
const READ = /(?:\.(?:tsx?|mjs|md|sh|service|env|svg)|\.ci\/[a-z]+)$/;
/** Recorded or generated texts, and the list itself. */
const UNREAD = /^(?:tests\/fixtures\/|docs\/schema\/|scripts\/check\/phrases\.ts)/;

/** The phrases in this line, each with what to write instead. */
export function findPhrases(line: string): string[] {
  const text = EXEMPT.reduce((left, name) => left.replaceAll(name, ""), line);
  return PHRASES.flatMap(({ pattern, instead }) => {
    const found = pattern.exec(text)?.[0].trim();
    return found === undefined ? [] : [`"${found}": ${instead}`];
  });
}

/** @param paths of the checkout, as git takes them; empty: all of it */
function checkedFiles(paths: readonly string[]): string[] {
  const listed = Bun.spawnSync(["git", "ls-files", "-co", "--exclude-standard", "--deduplicate", "--", ...paths], {
    cwd: ROOT,
  });
  const files = listed.stdout.toString().trim().split("\n");
  return files.filter((path) => READ.test(path) && !UNREAD.test(path));
}

/** @returns how many phrases it printed */
async function printPhrases(paths: readonly string[]): Promise<number> {
  let found = 0;
  for (const path of checkedFiles(paths)) {
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
  return found;
}

if (import.meta.main) {
  const found = await printPhrases(Bun.argv.slice(2));
  if (found > 0) console.log(`${found} phrases to replace; scripts/check/phrases.ts lists what to write instead`);
  process.exit(found === 0 ? 0 : 1);
}
