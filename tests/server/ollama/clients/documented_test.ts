// docs/clients.md: its blocks run as they are printed, and its table of differences is the one that is tested.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Fence, Markdown } from "#tests/docs/markdown.ts";
import { ROOT } from "../../../../scripts/binaries.ts";
import { ClientSite } from "./site/client_site.ts";
import { DIFFERENCES } from "./site/differences.ts";
import { SAMPLE } from "./site/models.ts";
import { CLI_VARIABLE, NODE_VARIABLE, PYTHON_VARIABLE } from "./site/packages.ts";
import { folderOf, output } from "./site/script.ts";

const PAGE = "docs/clients.md";
const PRINTED_SERVER = "https://gpu.example.org";

/** Undefined: what starts it is left out. */
const cli = process.env[CLI_VARIABLE];
const page = new Markdown(PAGE, await Bun.file(join(ROOT, PAGE)).text());

let dir: string;
let site: ClientSite;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "gpu-courier-clients-"));
  site = await ClientSite.open();
});
afterAll(async () => {
  await site.close();
  rmSync(dir, { recursive: true, force: true });
});

/** With this server in the place of the printed one. */
async function runBlock({ language, text }: Fence): Promise<string> {
  const own = text.replaceAll(PRINTED_SERVER, site.server.url);
  const TOKEN = site.server.tokens.gp;
  if (language === "python") {
    const env = { TOKEN, PYTHONPATH: folderOf(PYTHON_VARIABLE), PYTHONDONTWRITEBYTECODE: "1" };
    return await output(["python3", "-c", own], env);
  }
  if (language === "sh") return await output(["sh", "-c", own], { TOKEN, ...withGpuctl(TOKEN) });
  const folder = own.includes('from "ollama"') ? ROOT : folderOf(NODE_VARIABLE);
  const imported = own.replace(/from "(\w+)"/, (_, name: string) => `from "${join(folder, "node_modules", name)}"`);
  const file = join(dir, "block.mjs");
  writeFileSync(file, imported);
  return await output([process.execPath, file], { TOKEN });
}

/** gpuctl and the CLI on the PATH, and the settings of gpuctl in the environment. */
function withGpuctl(token: string): Record<string, string> {
  const bin = join(dir, "bin");
  const tokenFile = join(dir, "token");
  mkdirSync(bin, { recursive: true });
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const programs = { gpuctl: `${process.execPath} ${join(ROOT, "src/client.ts")}`, ollama: cli ?? "false" };
  for (const [name, command] of Object.entries(programs))
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  const path = `${bin}:${process.env["PATH"] ?? ""}`;
  return { PATH: path, GPU_COURIER_SERVER: site.server.url, GPU_COURIER_TOKEN_FILE: tokenFile };
}

describe(PAGE, () => {
  const blocks = page.fences.filter(({ text }) => cli !== undefined || !text.startsWith("gpuctl ollama"));

  test("has a block in each language", () => {
    expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(["sh", "js", "python"]));
  });

  test.each(blocks.map((block): [string, Fence] => [block.text.trim().split("\n").at(-1) ?? "", block]))(
    "has a block that prints the models of a box: %s",
    async (_, block) => {
      expect(await runBlock(block)).toContain(SAMPLE.name);
    },
  );

  test("lists the differences that are tested, and no others", () => {
    const printed = page.section("What differs from an Ollama").rows.map(([here]) => here ?? "");
    expect(printed).toEqual(DIFFERENCES.map(({ here }) => here));
  });
});
