// Import cycles among sources.
import { importsOf, type Source } from "./sources.ts";

/** The sources that import themselves over others, types included, as `a.ts b.ts`: each group once, in order. */
export function cyclesOf(sources: readonly Source[]): string[] {
  const targets = new Map(sources.map((source) => [source.path, importsOf(source).map(({ target }) => target)]));
  const reach = (from: string, seen = new Set<string>()): Set<string> => {
    for (const target of targets.get(from) ?? []) {
      if (seen.has(target)) continue;
      seen.add(target);
      reach(target, seen);
    }
    return seen;
  };
  const reached = new Map(sources.map(({ path }) => [path, reach(path)]));
  const groups = [...reached].map(([path, seen]) => {
    return seen.has(path) ? [...seen].filter((other) => reached.get(other)?.has(path) === true).toSorted() : [];
  });
  return [...new Set(groups.filter((group) => group.length > 0).map((group) => group.join(" ")))];
}
