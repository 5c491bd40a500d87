// The `ollama` CLI on a box behind the server: what it prints, and how it ends, is what it prints at the box's own Ollama.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { until } from "#tests/process/site/site.ts";
import { COMMANDS, runCli } from "./site/cli_commands.ts";
import { AWAY_BOX, BOX, ClientSite, UNKNOWN_BOX } from "./site/client_site.ts";
import { Forwarder } from "./site/forwarder.ts";
import { startBoxOllama } from "./site/models.ts";
import { CLI_VARIABLE } from "./site/packages.ts";

interface Run {
  readonly status: number;
  /** Each kind of line once, without colors, times and figures of progress. */
  readonly lines: readonly string[];
}

/** Nothing, or the spinner that shows while it waits. */
const IDLE = /^[\u2800-\u28ff]?$/;
/** It writes over its lines. */
const CURSOR_MOVE = new RegExp(`${String.fromCodePoint(0x1b)}\\[[0-9;?]*[a-zA-Z]`, "g");

const cli = process.env[CLI_VARIABLE] ?? "";
let home: string;
let site: ClientSite;
/** The same as the box's, with nothing in between. */
let twin: SimulatedOllama;
/** Adds the token, which the CLI cannot send. */
let forwarder: Forwarder;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "gpu-courier-cli-"));
  [site, twin] = await Promise.all([ClientSite.open(), startBoxOllama()]);
  forwarder = new Forwarder(site.server.url, site.bearer());
});
afterAll(async () => {
  await forwarder.close();
  await site.close();
  await twin.stop();
  rmSync(home, { recursive: true, force: true });
});

async function run(host: string, ...args: readonly string[]): Promise<Run> {
  const { status, output } = await runCli(cli, host, home, args);
  return { status, lines: linesOf(output) };
}

async function onBox(...args: readonly string[]): Promise<Run> {
  return await run(`${forwarder.url}/agents/${BOX}`, ...args);
}

function linesOf(output: string): string[] {
  const plain = output.replaceAll(CURSOR_MOVE, "\n");
  const lines = plain.split(/[\r\n]+/).map((line) =>
    line
      .trimEnd()
      .replace(/^pulling [0-9a-f]{12}:.*/, "pulling DIGEST")
      .replace(/^(pulling manifest|verifying sha256 digest|writing manifest) .*/, "$1")
      .replace(/\b(?:\d+|Less than a|About a|a few) (?:second|minute|hour)s? ago/, "TIME ago")
      .replace(/\b\d+ minutes from now/, "TIME from now"),
  );
  return [...new Set(lines.filter((line) => !IDLE.test(line)))];
}

describe("the ollama CLI", () => {
  for (const [name, command] of Object.entries(COMMANDS)) {
    test(`prints for "ollama ${command.join(" ")}" what it prints at an Ollama (${name})`, async () => {
      const direct = await run(twin.url, ...command);
      expect(await onBox(...command)).toEqual(direct);
    });
  }

  test("stops a loaded model, and shows it until then", async () => {
    for (const ollama of [site.ollama, twin]) ollama.load("sample");
    const direct = await run(twin.url, "ps");
    expect(direct.lines.at(-1)).toContain("sample:latest");
    await until(async () => Bun.deepEquals(await onBox("ps"), direct), "the box shows the loaded model");
    expect(await onBox("stop", "sample")).toEqual({ status: 0, lines: [] });
    expect((await onBox("ps")).lines).toHaveLength(1);
  });

  test("joins a pull that runs", async () => {
    await onBox("rm", "small");
    const before = site.ollama.counters.requests["POST /api/pull"] ?? 0;
    const first = onBox("pull", "small");
    await until(() => site.ollama.counters.openPulls === 1, "the pull runs");
    const ends = await Promise.all([first, onBox("pull", "small")]);
    expect(ends.map(({ status, lines }) => [status, lines.at(-1)])).toEqual([
      [0, "success"],
      [0, "success"],
    ]);
    expect((site.ollama.counters.requests["POST /api/pull"] ?? 0) - before).toBe(1);
  });

  test("cancels a pull with rm of its model, which Ollama refuses", async () => {
    await onBox("rm", "small");
    const pulling = onBox("pull", "small");
    await until(() => site.ollama.counters.openPulls === 1, "the pull runs");
    const { status, lines } = await onBox("rm", "small");
    expect({ status, last: lines[0] }).toEqual({ status: 0, last: "deleted 'small'" });
    const pulled = await pulling;
    expect({ ...pulled, lines: pulled.lines.at(-1) }).toEqual({
      status: 1,
      lines: "Error: the pull of small:latest was cancelled",
    });
  });

  test("leaves a pull running that it is interrupted in", async () => {
    await onBox("rm", "small");
    const child = Bun.spawn([cli, "pull", "small"], {
      env: { PATH: process.env["PATH"], HOME: home, OLLAMA_HOST: `${forwarder.url}/agents/${BOX}` },
      stdio: ["ignore", "ignore", "ignore"],
    });
    await until(() => site.ollama.counters.openPulls === 1, "the pull runs");
    child.kill("SIGINT");
    await child.exited;
    await until(async () => (await onBox("list")).lines.some((line) => line.startsWith("small")), "it is pulled");
  });

  test("removes a loaded model from the disk and from memory", async () => {
    await onBox("cp", "sample", "copied");
    site.ollama.load("copied");
    await until(async () => (await onBox("ps")).lines.length === 2, "the box shows the loaded model");
    expect(await onBox("rm", "copied")).toEqual({ status: 0, lines: ["deleted 'copied'"] });
    expect((await onBox("ps")).lines).toHaveLength(1);
    expect((await onBox("list")).lines.join("\n")).not.toContain("copied");
  });

  test("prints the reason when the token is wrong or missing, or the box away or unknown", async () => {
    const wrong = new Forwarder(site.server.url, { authorization: "Bearer wrong" });
    try {
      const runs = await Promise.all([
        run(`${wrong.url}/agents/${BOX}`, "list"),
        run(site.address(), "list"),
        run(`${forwarder.url}/agents/${AWAY_BOX}`, "list"),
        run(`${forwarder.url}/agents/${UNKNOWN_BOX}`, "list"),
      ]);
      expect(runs.map(({ status }) => status)).toEqual([1, 1, 1, 1]);
      expect(runs.map(({ lines }) => lines.join(" "))).toEqual([
        expect.stringContaining("token"),
        expect.stringContaining("token"),
        expect.stringContaining(AWAY_BOX),
        expect.stringContaining(UNKNOWN_BOX),
      ]);
    } finally {
      await wrong.close();
    }
  });
});
