// The documents hold: links and paths lead somewhere, examples run, flags and scripts exist, the README is short.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { anchor, type Markdown, readDocuments } from "./markdown.ts";

const ROOT = join(import.meta.dir, "../..");
const README_LINES = 100;
const ENTRY_POINTS = { "gpu-agent": "agent.ts", "gpu-server": "server.ts", gpuctl: "client.ts" } as const;
/** The verbs that have flags of their own. */
const HELP = {
  "gpu-agent": ["", "doctor"],
  "gpu-server": ["", "token add", "token list", "store copy", "audit"],
  gpuctl: [
    "",
    "agents",
    "ping",
    "list",
    "show",
    "jobs",
    "pull",
    "wait",
    "rm",
    "load",
    "prune",
    "doctor",
    "proxy",
    "roster sign",
    "mirror add",
    "mirror verify",
  ],
} as const;
/** Argv: an entry point, and verbs. Exits with the first status that is not 0. */
const PRINT_HELPS = `
const [entry, ...verbs] = process.argv.slice(1);
const { main } = await import(entry);
// gpuctl takes its streams and files as an argument.
const io = { stdout: process.stdout, stderr: process.stderr, keyFile: "/nonexistent/signing.key" };
for (const verb of verbs) {
  const status = await main([...verb.split(" ").filter(Boolean), "--help"], io);
  if (status !== 0) process.exit(status);
}
`;

const documents = await readDocuments();

/** Faults by the document that has them. */
function faults(faultsOf: (document: Markdown) => readonly string[]): string[] {
  return documents.flatMap((document) => faultsOf(document).map((fault) => `${document.path}: ${fault}`));
}

describe("what documents point to", () => {
  test("every link leads to a file, and to a heading where it names one", () => {
    const broken = faults(({ path, links }) =>
      links.filter((link) => {
        const [file = "", heading] = link.split("#");
        const target = file === "" ? path : posix.join(posix.dirname(path), file);
        if (!existsSync(join(ROOT, target))) return true;
        const headings = documents.find((document) => document.path === target)?.headings ?? [];
        return heading !== undefined && !headings.map(anchor).includes(heading);
      }),
    );
    expect(broken).toEqual([]);
  });

  test("the contents of operations.md are its sections, in their order", async () => {
    const text = await Bun.file(join(ROOT, "docs/operations.md")).text();
    const sections = [...text.matchAll(/^## (.+)$/gm)].map(([, title = ""]) => `[${title}](#${anchor(title)})`);
    const contents = text.slice(0, text.indexOf("\n## ")).match(/\[[^\]]+\]\(#[^)]+\)/g);
    expect([...(contents ?? [])]).toEqual(sections);
  });

  test("every path of the checkout that is named is there", () => {
    const missing = faults(({ commands }) =>
      commands
        .flatMap((command) => command.match(/(?<![\w./-])(?:src|tests|scripts|docs)\/[\w./-]*\w(?![\w*])/g) ?? [])
        .filter((path) => !existsSync(join(ROOT, path))),
    );
    expect(missing).toEqual([]);
  });

  test("every npm script that is named is there", () => {
    const scripts: object = manifest.scripts;
    const missing = faults(({ commands }) =>
      commands.flatMap((command) => {
        const [, long, short] = /^npm (?:run ([\w:-]+)|(start|test)\b)/.exec(command) ?? [];
        const script = long ?? short;
        return script === undefined || script in scripts ? [] : [command];
      }),
    );
    expect(missing).toEqual([]);
  });

  test("the README is short enough to be read", () => {
    const readme = documents.find(({ path }) => path === "README.md");
    expect(readme?.text.split("\n").length).toBeLessThan(README_LINES);
  });
});

describe("flags", () => {
  const flags = new Map<string, ReadonlySet<string>>();

  beforeAll(async () => {
    for (const program of ["gpu-agent", "gpu-server", "gpuctl"] as const) {
      const text = await helpsOf(program, HELP[program]);
      flags.set(program, new Set(text.match(/--[a-z][a-z-]*/g)));
    }
    const installer = await run("sh", ["install.sh", "--help"]);
    flags.set("install.sh", new Set(installer.stdout.match(/--[a-z][a-z-]*/g)));
  });

  test("every flag in the docs is in the help of its entry point", () => {
    const all = new Set([...flags.values()].flatMap((known) => [...known]));
    const unknown = faults(({ commands }) =>
      commands.flatMap((command) => {
        const program = /(?:^|[\s/])(gpu-agent|gpu-server|gpuctl|install\.sh)(?=\s)/.exec(command)?.[1];
        // Another program's line; what stands alone is one of ours.
        if (program === undefined && !command.startsWith("--")) return [];
        const known = program === undefined ? all : flags.get(program);
        return (command.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? []).filter((flag) => known?.has(flag) !== true);
      }),
    );
    expect(unknown).toEqual([]);
  });
});

describe("ts examples", () => {
  const examples = documents.flatMap(({ path, fences }) =>
    fences.filter(({ language }) => language === "ts").map(({ text }) => ({ path, text })),
  );
  const dir = mkdtempSync(join(tmpdir(), "gpu-courier-docs-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const files = examples.map(({ path, text }, index) => {
    const file = join(dir, `example_${index}.ts`);
    const folder = join(ROOT, posix.dirname(path));
    writeFileSync(
      file,
      text.replaceAll(/from "(\.[^"]+)"/g, (_, target: string) => `from "${join(folder, target)}"`),
    );
    return file;
  });

  test("every example compiles", async () => {
    const include = join(dir, "*.ts");
    const compilerOptions = { typeRoots: [join(ROOT, "node_modules/@types")] };
    writeFileSync(
      join(dir, "tsconfig.json"),
      JSON.stringify({ extends: join(ROOT, "tsconfig.json"), include: [include], compilerOptions }),
    );
    const { stdout, status } = await run(process.execPath, [join(ROOT, "node_modules/.bin/tsc"), "-p", dir]);
    expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
  }, 120_000);

  test("every example prints what its comments say", async () => {
    expect(files.length).toBeGreaterThan(0);
    for (const [index, file] of files.entries()) {
      const said = [...(examples[index]?.text.matchAll(/console\.log.*\/\/ (.*)$/gm) ?? [])].map(
        ([, line = ""]) => line,
      );
      const { stdout, status } = await run(process.execPath, [file]);
      expect({ printed: stdout.trim().split("\n"), status }).toEqual({ printed: said, status: 0 });
    }
  });
});

/** What the program prints for each of the verbs with `--help`, all of it from one process. */
async function helpsOf(program: keyof typeof ENTRY_POINTS, verbs: readonly string[]): Promise<string> {
  const entry = join(ROOT, "src", ENTRY_POINTS[program]);
  const { stdout, status } = await run(process.execPath, ["-e", PRINT_HELPS, entry, ...verbs]);
  if (status !== 0) throw new Error(`${program} --help ended with ${status}`);
  return stdout;
}

async function run(program: string, args: readonly string[]): Promise<{ stdout: string; status: number }> {
  const child = Bun.spawn([program, ...args], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  return { stdout: await child.stdout.text(), status: await child.exited };
}
