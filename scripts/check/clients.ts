// Generates clients from /openapi.json, uses them against a real gpu-server, and lets schemathesis try every route. Needs
// python3 with venv, npm and their registries: `npm run check:clients`, in .ci/nightly.
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Site } from "../demo/site.ts";

const PARTS = join(import.meta.dir, "clients");
const PYTHON = ["openapi-python-client==0.29.1", "ruff==0.17.6", "schemathesis==4.32.5"];
const NODE = ["openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3", "@types/node@20"];
/** Of one step. */
const LIMIT_MS = 15 * 60_000;
const MODEL = "llama3.2:1b";
const TYPES = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    module: "esnext",
    moduleResolution: "bundler",
    target: "esnext",
    types: ["node"],
    allowImportingTsExtensions: true,
  },
  files: ["client.ts"],
};

class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "gpu-courier-clients-"));

  at(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  /** As `run()`, and fails at anything like a warning. */
  async runQuietly(name: string, ...command: readonly string[]): Promise<void> {
    const output = await this.run(name, ...command);
    if (/\bwarn(?:ing)?/i.test(output)) throw new Error(`${name} warns:\n${output}`);
  }

  /** @returns what it printed. @throws Error with all of that unless it succeeds */
  async run(name: string, ...command: readonly string[]): Promise<string> {
    const startedMs = performance.now();
    const env = { ...process.env, PATH: `${this.at("venv/bin")}:${process.env["PATH"] ?? ""}` };
    const child = Bun.spawn([...command], {
      cwd: this.path,
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: LIMIT_MS,
    });
    const output = (await Promise.all([child.stdout.text(), child.stderr.text()])).join("");
    const status = await child.exited;
    const isOk = status === 0;
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    console.log(`${name.padEnd(24)} ${isOk ? "ok" : "FAIL"}  ${seconds} s`);
    if (!isOk) throw new Error(`${name} ended with status ${status}:\n${output}`);
    return output;
  }
}

async function install(folder: Folder): Promise<void> {
  writeFileSync(folder.at("package.json"), JSON.stringify({ private: true, type: "module" }));
  await folder.run("npm packages", "npm", "install", "--silent", "--no-fund", "--no-audit", ...NODE);
  await folder.run("python environment", "python3", "-m", "venv", "venv");
  await folder.run("python packages", "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", ...PYTHON);
}

async function useTypeScript(folder: Folder, site: Site): Promise<void> {
  copyFileSync(join(PARTS, "client.ts"), folder.at("client.ts"));
  writeFileSync(folder.at("tsconfig.json"), JSON.stringify(TYPES));
  await folder.runQuietly(
    "openapi-typescript",
    "node_modules/.bin/openapi-typescript",
    "openapi.json",
    "-o",
    "api.d.ts",
  );
  await folder.run("its types", "node_modules/.bin/tsc", "-p", ".");
  await folder.run("its client", process.execPath, "client.ts", site.serverUrl, site.token, MODEL);
}

async function usePython(folder: Folder, site: Site): Promise<void> {
  copyFileSync(join(PARTS, "client.py"), folder.at("client.py"));
  const options = ["--path", "openapi.json", "--output-path", "generated", "--meta", "none", "--fail-on-warning"];
  await folder.runQuietly("openapi-python-client", "venv/bin/openapi-python-client", "generate", ...options);
  await folder.run("its client", "venv/bin/python", "client.py", site.serverUrl, site.token, MODEL);
}

/** @param which routes: a decision on the agent's key can make all later requests fail, so it comes last */
async function tryRoutes(folder: Folder, site: Site, name: string, which: readonly string[]): Promise<void> {
  const config = ["--config-file", join(PARTS, "schemathesis.toml")];
  const target = ["openapi.json", "--url", site.serverUrl, "-H", `Authorization: Bearer ${site.token}`];
  const output = await folder.run(name, "venv/bin/schemathesis", ...config, "run", ...target, "--no-color", ...which);
  console.log(/^ *\d+ generated.*$/m.exec(output)?.[0] ?? output);
}

const folder = new Folder();
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());
try {
  await install(folder);
  const site = await Site.open(stop.signal);
  try {
    writeFileSync(folder.at("openapi.json"), JSON.stringify(await site.call("GET", "/openapi.json")));
    await useTypeScript(folder, site);
    await usePython(folder, site);
    await tryRoutes(folder, site, "schemathesis", ["--exclude-path-regex", "/trust$"]);
    await tryRoutes(folder, site, "schemathesis, of trust", ["--include-path-regex", "/trust$"]);
  } finally {
    await site.close();
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(folder.path, { recursive: true, force: true });
}
