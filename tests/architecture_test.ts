// The rules of docs/architecture.md that a machine can hold: who may import whom, and how large things may be.
import { describe, expect, test } from "bun:test";
import { basename, dirname } from "node:path";
import { cyclesOf, exportsOf, functionsOf, importsOf, readSources, type Source } from "#tests/support/sources.ts";

const BASE = ["src/base/*.ts", "src/protocol.ts"];
const SEAM = [...BASE, "src/transport.ts"];
const COURIER = ["src/courier.ts", "src/courier/*.ts", "src/documents/*.ts"];
const OPEN = "src/transport/open.ts";

/** `inside("src/agent", "disk ledger")`: the files of these folders. */
function inside(parent: string, folders: string): string[] {
  return folders.split(" ").map((folder) => `${parent}/${folder}/*.ts`);
}

const agent = (folders: string): string[] => inside("src/agent", folders);
const share = (folders: string): string[] => inside("src/transport/share", folders);
const server = (folders: string): string[] => inside("src/server", folders);
const client = (folders: string): string[] => inside("src/client", folders);

/**
 * Every file under src/ and what of the project it may import; the first row that fits counts. A folder may always import
 * from itself. Arrows point one way. A new file without a row fails.
 */
const ROWS: readonly { readonly files: string; readonly may: readonly string[] }[] = [
  { files: "src/base/*.ts", may: [] },
  { files: "src/protocol.ts", may: ["src/base/errors.ts"] },
  { files: "src/program/*.ts", may: ["package.json", "src/base/*.ts"] },

  // The seam and its drivers.
  { files: "src/transport.ts", may: ["src/base/check.ts"] },
  { files: OPEN, may: [...SEAM, "src/transport/share/*.ts", ...share("calls mount")] },
  { files: "src/transport/*.ts", may: SEAM },
  { files: "src/transport/share/layout.ts", may: SEAM },
  { files: "src/transport/share/calls/*.ts", may: SEAM },
  { files: "src/transport/share/folders/*.ts", may: [...SEAM, ...share("calls")] },
  { files: "src/transport/share/mount/*.ts", may: [...SEAM, "src/transport/share/layout.ts", ...share("calls")] },
  {
    files: "src/transport/share/access/*.ts",
    may: [...SEAM, "src/transport/share/layout.ts", ...share("calls folders mount")],
  },
  {
    files: "src/transport/share/{share,share_clock,failures}.ts",
    may: [
      ...SEAM,
      "src/transport/share/{share,share_clock,failures,layout}.ts",
      ...share("calls folders mount access"),
    ],
  },
  {
    files: "src/transport/share/files/*.ts",
    may: [...SEAM, "src/transport/share/{share,failures,layout}.ts", ...share("calls folders")],
  },
  {
    files: "src/transport/share/{states,claims}.ts",
    may: [...SEAM, "src/transport/share/{share,share_clock,failures,layout}.ts", ...share("calls files")],
  },
  {
    files: "src/transport/share/{watch,sweep,examine}/*.ts",
    may: [
      ...SEAM,
      "src/transport/retention.ts",
      "src/transport/share/{share,share_clock,failures,layout}.ts",
      ...share("calls folders mount access files"),
    ],
  },
  {
    files: "src/transport/share/*.ts",
    may: [
      ...SEAM,
      "src/transport/retention.ts",
      "src/transport/share/*.ts",
      ...share("calls files watch sweep examine"),
    ],
  },

  // The platform side over any transport.
  { files: "src/courier/*.ts", may: SEAM },
  { files: "src/courier.ts", may: [...SEAM, "src/courier/*.ts"] },
  { files: "src/documents/*.ts", may: [...SEAM, "src/courier/*.ts"] },
  { files: "src/doctor/*.ts", may: [...SEAM, ...COURIER] },

  // gpu-agent.
  { files: "src/agent/{ollama,disk,ledger}/*.ts", may: BASE },
  { files: "src/agent/box.ts", may: [...BASE, ...agent("disk")] },
  { files: "src/agent/pulls/*.ts", may: [...BASE, "src/agent/box.ts", ...agent("ollama disk ledger")] },
  { files: "src/agent/models/*.ts", may: [...BASE, ...agent("ollama disk pulls")] },
  { files: "src/agent/presence/*.ts", may: SEAM },
  { files: "src/agent/commands/*.ts", may: [...SEAM, ...agent("ollama disk ledger pulls models presence")] },
  {
    files: "src/agent/*.ts",
    may: [
      ...SEAM,
      ...COURIER,
      "src/doctor/*.ts",
      "src/program/*.ts",
      "src/agent/box.ts",
      ...agent("ollama disk ledger pulls models presence commands"),
    ],
  },
  { files: "src/agent.ts", may: [...SEAM, "src/program/*.ts", OPEN, "src/agent/*.ts"] },

  // gpu-server.
  { files: "src/server/store/*.ts", may: [...BASE, "src/program/*.ts"] },
  { files: "src/server/http/*.ts", may: [...BASE, "src/program/*.ts", "src/server/services.ts", ...server("store")] },
  {
    files: "src/server/{v1,platform}/*.ts",
    may: [...BASE, ...COURIER, "src/server/{services,job_feed,known_fleet}.ts", ...server("http store")],
  },
  {
    files: "src/server/*.{ts,json}",
    may: [...SEAM, ...COURIER, "src/program/*.ts", "src/server/*.{ts,json}", ...server("http store v1 platform")],
  },
  { files: "src/server.ts", may: [...SEAM, "src/program/*.ts", OPEN, "src/server/*.ts", ...server("http store")] },

  // gpuctl.
  { files: "src/client/process_io.ts", may: [...SEAM, "src/program/*.ts", "src/client/io.ts", OPEN] },
  { files: "src/client/output/*.ts", may: [...BASE, "src/program/exit.ts", "src/client/io.ts", "src/courier/*.ts"] },
  { files: "src/client/{io,base_command}.ts", may: [...SEAM, "src/program/*.ts", "src/client/{io,base_command}.ts"] },
  { files: "src/client/session.ts", may: [...SEAM, ...COURIER, "src/client/*.ts", ...client("output")] },
  {
    files: "src/client/{verbs,completion}/*.ts",
    may: [
      ...SEAM,
      ...COURIER,
      "src/doctor/*.ts",
      "src/program/*.ts",
      "src/client/{io,session,base_command}.ts",
      ...client("output"),
    ],
  },
  {
    files: "src/client/*.ts",
    may: [...SEAM, ...COURIER, "src/program/*.ts", "src/client/*.ts", ...client("verbs completion output")],
  },
  { files: "src/client.ts", may: [...SEAM, "src/program/*.ts", "src/client/*.ts"] },
];

/** Imports that no row allows and that are still to be untied: take them out as they go. */
const KNOTS: readonly string[] = [
  "src/agent.ts: src/agent/disk/models_folder.ts",
  "src/agent.ts: src/agent/disk/reserve.ts",
  "src/agent.ts: src/agent/ledger/ledger.ts",
  "src/agent.ts: src/agent/ollama/ollama.ts",
  "src/agent.ts: src/agent/ollama/url.ts",
  "src/agent.ts: src/agent/presence/identity.ts",
  "src/agent.ts: src/agent/pulls/registry.ts",
  "src/agent.ts: src/courier.ts",
  "src/agent.ts: src/doctor/report.ts",
  "src/agent/ledger/ledger.ts: src/agent/pulls/kept_job.ts",
  "src/client/base_command.ts: src/client/session.ts",
  "src/transport/share/sweep/folders.ts: src/transport/share/watch/replies.ts",
];

/** Packages, each with the only files that may import it. `ANYWHERE` lists those that every file may import. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  zod: ["src/protocol.ts", "src/documents/*.ts", "src/{agent,server}/**/*.ts"],
  pino: ["src/program/log.ts"],
  ollama: ["src/agent/ollama/*.ts"],
  "@commander-js/extra-typings": [
    "src/program/{flags,exit}.ts",
    "src/{agent,server,client}.ts",
    "src/client/command_line.ts",
  ],
  "cli-progress": ["src/client/output/bars.ts"],
  "cli-table3": ["src/client/output/table.ts"],
  hono: ["src/server/**/*.ts"],
  "@hono/zod-openapi": ["src/server/**/*.ts"],
  "bun:ffi": ["src/program/service_manager.ts", "src/transport/share/calls/file_pool.ts"],
  "bun:sqlite": ["src/agent/ledger/*.ts", "src/server/{run,store/*}.ts"],
  // The share's files are the driver's alone; the rest is a service's own state folder, its settings, and the box.
  "node:fs": [
    "src/transport/share/**/*.ts",
    "src/program/journal.ts",
    "src/agent/{disk,ledger,presence}/*.ts",
    "src/agent/examine.ts",
    "src/server/{store/store,catalog}.ts",
  ],
};
const ANYWHERE = ["node:path", "node:os", "node:crypto", "node:stream", "node:util"];
const ENTRY_POINTS = ["src/agent.ts", "src/server.ts", "src/client.ts"];

/** What crosses a transport, and what every transport is: each is one contract and stays in one place. */
const CONTRACTS = ["src/protocol.ts", "src/transport.ts"];

const MAX_FILE_LINES = 400;
const MAX_EXPORTS = 6;
/** Of a folder, folders included. */
const MAX_ENTRIES = 17;
/** Samples and decisions are lists that grow. */
const LISTS = /^(?:tests\/fixtures|docs\/decisions)/;
const MAX_FUNCTION_LINES = 50;

const sources = await readSources("src/**");
const modules = sources.filter(({ path }) => path.endsWith(".ts"));
const checkout = [...sources, ...(await readSources("{tests,sim,scripts}/**"))];
const code = [...modules, ...(await readSources("{tests,sim,scripts}/**/*.ts"))];

function fits(pattern: string, path: string): boolean {
  return new Bun.Glob(pattern).match(path);
}

/** `node:fs/promises` is `node:fs`, `hono/body-limit` is `hono`. */
function packageOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/** The files that break a rule, each with how. */
function offenders(files: readonly Source[], faultsOf: (file: Source) => readonly string[]): string[] {
  return files.flatMap((file) => faultsOf(file).map((fault) => `${file.path}: ${fault}`));
}

describe("who imports whom", () => {
  test("every file under src has a row, and every row has a file", () => {
    const unlisted = sources.filter(({ path }) => !ROWS.some(({ files }) => fits(files, path)));
    const stale = ROWS.filter(({ files }) => !sources.some(({ path }) => fits(files, path)));
    expect({ unlisted: unlisted.map(({ path }) => path), stale }).toEqual({ unlisted: [], stale: [] });
  });

  test("a file imports only what its row allows", () => {
    const faults = offenders(modules, (file) => {
      const row = ROWS.find(({ files }) => fits(files, file.path));
      const own = file.path.split("/").length > 2 ? `${dirname(file.path)}/*` : "";
      const may = [...(row?.may ?? []), ...(row?.files.includes("/*") === true ? [own] : [])];
      const local = importsOf(file).filter(({ isLocal }) => isLocal);
      return local.filter(({ target }) => !may.some((pattern) => fits(pattern, target))).map(({ target }) => target);
    });
    expect(faults).toEqual([...KNOTS]);
  });

  test("no file imports itself over others, not even for a type", () => {
    expect(cyclesOf(modules)).toEqual([]);
  });

  test("a package is imported only where it belongs", () => {
    const faults = offenders(modules, (file) => {
      const packages = importsOf(file)
        .filter(({ isLocal }) => !isLocal)
        .map(({ target }) => packageOf(target));
      return packages.filter(
        (name) => !ANYWHERE.includes(name) && !PACKAGES[name]?.some((pattern) => fits(pattern, file.path)),
      );
    });
    expect(faults).toEqual([]);
  });

  test("no entry point is imported by anything of src", () => {
    const faults = offenders(modules, (file) =>
      importsOf(file)
        .map(({ target }) => target)
        .filter((target) => ENTRY_POINTS.includes(target)),
    );
    expect(faults).toEqual([]);
  });

  test("only the share driver names the folders of the share", () => {
    const faults = offenders(
      modules.filter(({ path }) => !path.startsWith("src/transport/share/")),
      ({ text }) => text.match(/["/]gpu_(?:commands|status)\b/g) ?? [],
    );
    expect(faults).toEqual([]);
  });
});

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
    const crowded = [...entries].filter(([folder, { size }]) => folder !== "" && size > MAX_ENTRIES);
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

  test("files have meaningful snake_case names, and a first line that describes them", () => {
    const faults = offenders(code, ({ path, text }) => [
      ...(/^[a-z0-9]+(?:_[a-z0-9]+)*\.ts$/.test(basename(path)) ? [] : ["not snake_case"]),
      ...(/^(?:utils?|helpers?|misc|common|index)\.ts$/.test(basename(path)) ? ["a name without meaning"] : []),
      ...(/^(?:#!.*\n)?\/\/ \S/.test(text) ? [] : ["no first line that describes it"]),
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
