// Patterns for names, as shells have them: `*` is any text, `?` any character.

/** Whether it can fit several names of agents, which have none of these characters. */
export function isPattern(text: string): boolean {
  return /[*?]/.test(text);
}

/** Takes time in proportion to both lengths at most, whatever the pattern. */
export function matchesGlob(pattern: string, name: string): boolean {
  let [at, from] = [0, 0];
  /** Where to continue after the last `*`: it takes one more character. */
  let [star, taken] = [-1, 0];
  while (from < name.length) {
    if (pattern[at] === "*") {
      [star, taken] = [at, from];
      at += 1;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === name[from])) {
      at += 1;
      from += 1;
    } else if (star >= 0) {
      taken += 1;
      [at, from] = [star + 1, taken];
    } else return false;
  }
  while (pattern[at] === "*") at += 1;
  return at === pattern.length;
}
