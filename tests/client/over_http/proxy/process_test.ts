// gpuctl ollama as a process: what the other program inherits, its exit statuses, and signals.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "#tests/support/until.ts";
import { AnsweringServer, GPU_1 } from "../answering.ts";

const CLIENT = join(import.meta.dir, "../../../../src/client.ts");

let server: AnsweringServer;
beforeAll(async () => {
  server = await AnsweringServer.open(() => Response.json({ agents: [GPU_1] }));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** What starts it with this script as ollama. @param name of the folder with it */
async function prepare(name: string, script: string, interpreter = "/bin/sh") {
  const bin = join(server.dir, name);
  await mkdir(bin);
  await writeFile(join(bin, "ollama"), `#!${interpreter}\n${script}\n`);
  await chmod(join(bin, "ollama"), 0o755);
  const argv = [process.execPath, CLIENT, "--server", server.url, "--token-file", server.tokenFile];
  const env = { PATH: `${bin}:${process.env["PATH"]}` };
  return { argv: [...argv, "ollama", "--", "list", "two words"], env };
}

async function start(...script: Parameters<typeof prepare>) {
  const { argv, env } = await prepare(...script);
  return Bun.spawn(argv, { env, stdin: "pipe", stdout: "pipe", stderr: "pipe" });
}

test("ollama has the arguments and the three streams of gpuctl, which ends as it does", async () => {
  const child = await start("streams", 'printf "%s|" "$@"; cat; echo problem >&2; exit 7');
  void child.stdin.write("typed");
  void child.stdin.end();
  expect([await child.exited, await child.stdout.text(), await child.stderr.text()]).toEqual([
    7,
    "list|two words|typed",
    "problem\n",
  ]);
});

test("an ollama that a signal ends gives 128 and its number", async () => {
  const child = await start("killed", "kill -KILL $$");
  expect(await child.exited).toBe(137);
});

test("a program that cannot be started is an error", async () => {
  const child = await start("unstartable", "", "/nonexistent/interpreter");
  expect([await child.exited, await child.stderr.text()]).toEqual([70, expect.stringContaining("ENOENT")]);
});

test("signals to gpuctl alone reach ollama, and gpuctl ends after it", async () => {
  const script = `trap 'echo INT' INT; trap 'echo TERM; exit 4' TERM; trap 'echo HUP' HUP; echo ready
    n=0; while [ $n -lt 400 ]; do n=$((n + 1)); sleep 0.05; done`;
  const child = await start("signals", script);
  const reader = child.stdout.getReader();
  const line = async (): Promise<string> => Buffer.from((await reader.read()).value ?? []).toString();
  expect(await line()).toBe("ready\n");
  for (const name of ["SIGINT", "SIGINT", "SIGHUP"] as const) {
    child.kill(name);
    expect(await line()).toBe(`${name.slice(3)}\n`);
  }
  child.kill("SIGTERM");
  expect([await line(), await child.exited, await child.stderr.text()]).toEqual(["TERM\n", 4, ""]);
});

test("Ctrl-C at a terminal reaches ollama once, and gpuctl ends after it", async () => {
  const script = `trap 'presses=$((presses + 1)); echo "press $presses"' INT; presses=0; echo ready
    n=0; while [ $presses -lt 3 ] && [ $n -lt 20 ]; do n=$((n + 1)); sleep 1 & wait $!; done
    echo "a line"; read -r line; echo "then $line"; exit 5`;
  const { argv, env } = await prepare("terminal", script);
  let text = "";
  const data = (_: unknown, bytes: Uint8Array): void => {
    text += Buffer.from(bytes).toString();
  };
  const child = Bun.spawn(argv, { env, terminal: { cols: 80, rows: 24, data } });
  for (const [shown, typed] of [
    ["ready", "\u0003"],
    ["press 1", "\u0003"],
    ["press 2", "\u0003"],
    ["a line", "typed\n"],
  ] as const) {
    await until(() => text.includes(shown));
    child.terminal?.write(typed);
  }
  expect(await child.exited).toBe(5);
  await until(() => text.includes("then typed"));
  expect(text).not.toContain("press 4");
});
