// How large files, folders and functions may be, and what they look like.
import { describe, expect, test } from "bun:test";
import { basename } from "node:path";
import { cyclesOf } from "#tests/support/architecture/cycles.ts";
import { exportsOf, functionsOf, importsOf, offenders, readSources } from "#tests/support/architecture/sources.ts";

/** What crosses a transport, and what every transport is: each is one contract and stays in one place. */
const CONTRACTS = ["src/protocol.ts", "src/transport.ts"];

const MAX_FILE_LINES = 400;
const MAX_EXPORTS = 6;
/** Of a folder, folders included. */
const MAX_ENTRIES = 17;
/** More than that, until their parts find a better place. */
const CROWDED: Readonly<Record<string, number>> = { tests: 21, src: 18 };
/** Samples and decisions are lists that grow. */
const LISTS = /^(?:tests\/fixtures|docs\/decisions)/;
const MAX_FUNCTION_LINES = 40;

const modules = await readSources("src/**/*.{ts,tsx}");
const checkout = await readSources("{src,tests,sim,scripts}/**");
const code = checkout.filter(({ path }) => /\.tsx?$/.test(path));

describe("sizes and shapes", () => {
  test(`no file has over ${MAX_FILE_LINES} lines`, () => {
    const faults = offenders(code, ({ text }) => {
      const lines = text.split("\n").length - 1;
      return lines > MAX_FILE_LINES ? [`${lines} lines`] : [];
    });
    expect(faults).toEqual([]);
  });

  test(`no folder of src, tests, sim and scripts has over ${MAX_ENTRIES} entries`, () => {
    const entries = new Map<string, Set<string>>();
    for (const { path } of checkout.filter((file) => !LISTS.test(file.path))) {
      const parts = path.split("/");
      for (const [depth, part] of parts.entries()) {
        const folder = parts.slice(0, depth).join("/");
        entries.set(folder, (entries.get(folder) ?? new Set()).add(part));
      }
    }
    const crowded = [...entries].filter(
      ([folder, { size }]) => folder !== "" && size > (CROWDED[folder] ?? MAX_ENTRIES),
    );
    expect(crowded.map(([folder, { size }]) => `${folder}: ${size}`)).toEqual([]);
  });

  test(`no file exports over ${MAX_EXPORTS} names`, () => {
    const limited = code.filter(({ path }) => !CONTRACTS.includes(path));
    const faults = offenders(limited, (file) => {
      const names = exportsOf(file);
      return names.length > MAX_EXPORTS ? [`${names.length} exports: ${names.join(" ")}`] : [];
    });
    expect(faults).toEqual([]);
  });

  test(`no function has over ${MAX_FUNCTION_LINES} lines`, () => {
    const faults = offenders(
      code.filter(({ path }) => !path.startsWith("tests/")),
      (file) =>
        functionsOf(file)
          .filter(({ lines }) => lines > MAX_FUNCTION_LINES)
          .map(({ name, lines }) => `${name}() has ${lines} lines`),
    );
    expect(faults).toEqual([]);
  });

  test("no default exports, no barrels, no mutable module state", () => {
    const shapes = [/^export default\b.*/m, /^export (?:\*|\{).*/m, /^(?:export )?let .*/m];
    const faults = offenders(modules, ({ text }) => shapes.flatMap((shape) => text.match(shape)?.[0] ?? []));
    expect(faults).toEqual([]);
  });

  test("files have meaningful snake_case names, and begin with a line that describes them", () => {
    const faults = offenders(code, ({ path, text }) => [
      ...(/^[a-z0-9]+(?:_[a-z0-9]+)*\.tsx?$/.test(basename(path)) ? [] : ["not snake_case"]),
      ...(/^(?:utils?|helpers?|misc|common|index)\.tsx?$/.test(basename(path)) ? ["a name without a meaning"] : []),
      ...(/^(?:#!.*\n)?\/\/ \S/.test(text) ? [] : ["no first line that describes the file"]),
    ]);
    expect(faults).toEqual([]);
  });

  test("no test is skipped, alone or still to be written", () => {
    const left = /^\s*(?:test|describe|it)\.(?:skip|only|todo|if|skipIf|todoIf|failing)\b.*/gm;
    expect(offenders(code, ({ text }) => text.match(left) ?? [])).toEqual([]);
  });
});

test("no tracked file names a path of a developer's machine", async () => {
  const personal = /(?<![\w.~-])\/(?:home|Users|root|work)\/[\w.-]+/g;
  expect(offenders(await readSources("{.*,.*/**,**}"), ({ text }) => text.match(personal) ?? [])).toEqual([]);
});

describe("the reading of sources", () => {
  const text = `import { a } from "./x.ts";
import type {
  B,
} from "../y/z.ts";
import { t } from "#tests/u.ts";
import "node:fs/promises";
export const c = "from";
export function d(): string {
  return "import";
}
export type E = typeof import("../q.ts");
`;
  const source = { path: "src/agent/f.ts", text };

  test("importsOf() finds values, types, side effects and calls", () => {
    const found = importsOf(source).map(({ target }) => target);
    expect(found).toEqual(["src/agent/x.ts", "src/y/z.ts", "tests/u.ts", "node:fs/promises", "src/q.ts"]);
  });

  test("cyclesOf() finds each cycle once", () => {
    const chain = [
      { path: "src/a.ts", text: 'import { b } from "./b.ts";\n' },
      { path: "src/b.ts", text: 'import type { C } from "./c.ts";\n' },
      { path: "src/c.ts", text: "export type C = number;\n" },
    ];
    expect(cyclesOf(chain)).toEqual([]);
    const closed = chain.with(2, { path: "src/c.ts", text: 'import { a } from "./a.ts";\n' });
    expect(cyclesOf(closed)).toEqual(["src/a.ts src/b.ts src/c.ts"]);
  });

  test("exportsOf() and functionsOf() find declarations", () => {
    expect(exportsOf(source)).toEqual(["c", "d", "E"]);
    expect(functionsOf(source)).toEqual([{ name: "d", lines: 3 }]);
  });
});
