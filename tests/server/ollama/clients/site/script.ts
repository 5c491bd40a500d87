// Runs the scripts that use a client, where the client is installed.
import { join } from "node:path";
import { NODE_VARIABLE, PYTHON_VARIABLE } from "./packages.ts";

const SCRIPTS = join(import.meta.dir, "../scripts");

/** @returns the object that the script prints. @throws Error with what it wrote on stderr when it fails */
export async function runPython(script: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const command = ["python3", join(SCRIPTS, script), ...args];
  return JSON.parse(await output(command, { PYTHONPATH: folderOf(PYTHON_VARIABLE), PYTHONDONTWRITEBYTECODE: "1" }));
}

/** The same in JavaScript; its first argument is the folder with the packages. */
export async function runJavaScript(script: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await output([process.execPath, join(SCRIPTS, script), folderOf(NODE_VARIABLE), ...args], {}));
}

/** The folder of clients that the suite installed. */
export function folderOf(variable: string): string {
  const folder = process.env[variable];
  if (folder === undefined) throw new Error("The clients are not installed: run this with npm run test:clients");
  return folder;
}

/** @returns its stdout. @throws Error with its stderr when it fails */
export async function output(command: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed:\n${stderr}`);
  return stdout;
}
