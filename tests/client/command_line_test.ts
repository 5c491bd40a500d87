// gpuctl's command line: help, flags, environment, errors, and what it leaves on the transport.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { main } from "#src/client.ts";
import { parseFleetFile } from "#src/program/desired/fleet_file.ts";
import { VERSION } from "#src/program/flags.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { Transport } from "#src/transport.ts";
import { Capture, ClientSite } from "#tests/support/sites/client_run.ts";
import { modelOf } from "#tests/support/sites/scripted_agent.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  for (const name of Object.keys(process.env)) if (name.startsWith("GPU_COURIER_")) delete process.env[name];
  await site.close();
});

describe("--help", () => {
  test("names every verb, every flag with its variable, and examples", async () => {
    const { status, stdout, stderr } = await site.run(["--help"]);
    expect([status, stderr]).toEqual([0, ""]);
    for (const verb of ["agents", "list|ls", "pull", "rm", "jobs", "ping"]) expect(stdout).toContain(`\n  ${verb}`);
    for (const name of ["SHARE", "SHARE_WATCH", "TIMEOUT", "AGENT", "JSON"])
      expect(stdout).toContain(`GPU_COURIER_${name}`);
    expect(stdout).toContain("$ gpuctl pull phi4 --agent gpu-1");
  });

  test.each(["plan", "apply"])("%s shows a file that it accepts", async (verb) => {
    const [, shown = ""] = (await site.run([verb, "--help"])).stdout.split("\nA file:\n");
    const [file = ""] = shown.split("\n\nMore options");
    expect(parseFleetFile(file, "fleet.yaml").models.map(({ name }) => name)).toEqual(["phi4:latest", "gemma3:12b"]);
  });

  test.each(["agents", "list", "pull", "rm", "jobs", "ping", "plan", "apply", "mirror add", "mirror verify"])(
    "teaches %s by examples",
    async (verb) => {
      const { status, stdout } = await site.run([...verb.split(" "), "--help"]);
      expect(status).toBe(0);
      expect(stdout).toContain(`Examples:\n  $ gpuctl ${verb}`);
      expect(stdout).toContain("\nMore options: gpuctl help options\n");
      expect(stdout).not.toContain("--verify-agents");
      for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    },
  );
});

test.each([40, 50, 62, 80])("help fits a terminal of %p columns, but for what can be copied", async (columns) => {
  for (const argv of [["--help"], ["pull", "--help"], ["jobs", "--help"]]) {
    const { stdout } = await site.run(argv, { terminal: true, columns });
    const lines = stdout.split("\n").filter((line) => !line.startsWith("  $ ") && !line.startsWith("Usage: "));
    expect(lines.filter((line) => line.length > columns)).toEqual([]);
  }
});

test("version opens no share", async () => {
  const open = async () => await Promise.reject(new Error("opened"));
  const stdout = new Capture(false, 80);
  const io = {
    stdout,
    stderr: new Capture(false, 80),
    color: false,
    clock: systemClock,
    signal: new AbortController().signal,
    requestedBy: "",
    runProgram: async () => 0,
    keyFile: "/nonexistent/signing.key",
    open,
  };
  expect([await main(["version", "--share", "nosuch.example:/export"], io), stdout.text]).toEqual([0, `${VERSION}\n`]);
});

test("version prints the version, as --version does", async () => {
  const { status, stdout } = await site.run(["version"]);
  expect([status, stdout]).toEqual([0, `${VERSION}\n`]);
  expect((await site.run(["--version"])).stdout).toBe(stdout);
  expect(JSON.parse((await site.run(["version", "--json"])).stdout)).toEqual({ version: VERSION });
});

describe("main() refuses a bad command line with 64:", () => {
  test.each([
    ["an unknown flag", ["list", "--nope"], "unknown option '--nope'"],
    ["an unknown verb", ["lst"], "unknown command 'lst'"],
    ["a verb of an agent's own", ["run"], "unknown command 'run'"],
    ["a missing model", ["pull"], "missing required argument 'model'"],
    ["too many arguments", ["ps", "phi4"], "too many arguments for 'ps'"],
    ["an invalid timeout", ["list", "--timeout", "0"], "Give a number of seconds above 0"],
    ["a timeout that no timer holds", ["list", "--timeout", "2147484"], "up to 2147483 (24 days)"],
    ["a share without a path", ["list", "--share", ""], "Give the path of a folder"],
    ["--agent with --all", ["rm", "phi4", "--agent", "gpu-1", "--all"], "--agent and --all exclude each other"],
    ["an empty --agent", ["rm", "phi4", "--agent", ""], "Give at least one value, or omit the flag"],
    ["a model's name that Ollama refuses", ["pull", "a/b/c/d"], 'Cannot use "a/b/c/d" as a model name'],
  ])("%s", async (_what, argv, message) => {
    const result = await site.run(argv);
    expect([result.status, result.stdout]).toEqual([64, ""]);
    expect(result.stderr).toStartWith("error: ");
    expect(result.stderr).toContain(message);
    const json = await site.run([...argv, "--json"]);
    expect([json.status, json.stdout]).toEqual([64, ""]);
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "invalid" } });
    expect(JSON.parse(json.stderr).error.message).toContain(message);
  });

  test("no verb at all, answered with the help", async () => {
    expect(await site.run([])).toMatchObject({
      status: 64,
      stdout: "",
      stderr: expect.stringContaining("Usage: gpuctl"),
    });
    const json = await site.run(["--json"]);
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "invalid", message: "No verb given" } });
  });
});

describe("flags", () => {
  test("may stand before and after the verb", async () => {
    await site.agent("gpu-1");
    await site.agent("gpu-2");
    const before = await site.run(["--json", "--agent", "gpu-2", "ping"]);
    const after = await site.run(["ping", "--agent", "gpu-2", "--json"]);
    expect(JSON.parse(before.stdout)).toEqual({ agents: [{ agent: "gpu-2", rtt_ms: 0 }] });
    expect(after).toEqual(before);
  });

  test("--agent may be repeated or separated by commas, and each agent is asked once", async () => {
    const agent = await site.agent("gpu-1");
    await site.agent("gpu-2");
    const { stdout } = await site.run(["ping", "--agent", "gpu-2,gpu-1", "--agent", "gpu-1", "--json"]);
    expect(JSON.parse(stdout).agents.map((entry: { agent: string }) => entry.agent)).toEqual(["gpu-2", "gpu-1"]);
    expect(agent.commands.length).toBe(1);
  });

  test("win over the environment, which wins over the default", async () => {
    await site.agent("gpu-1");
    await site.agent("gpu-2");
    process.env["GPU_COURIER_AGENT"] = "gpu-1";
    process.env["GPU_COURIER_JSON"] = "1";
    expect(JSON.parse((await site.run(["ping"])).stdout).agents.length).toBe(1);
    expect(JSON.parse((await site.run(["ping", "--agent", "gpu-2"])).stdout).agents[0].agent).toBe("gpu-2");
    expect(JSON.parse((await site.run(["ping", "--all"])).stdout).agents.length).toBe(2);
  });

  test.each(["", "0", "false", "no"])("that are switches stay off when their variable says %p", async (value) => {
    process.env["GPU_COURIER_JSON"] = value;
    process.env["GPU_COURIER_AGENT"] = "";
    await site.agent("gpu-1");
    expect((await site.run(["ping"])).stdout).toStartWith("AGENT");
  });

  test("--share and --watch reach the transport", async () => {
    const opened: string[] = [];
    const store = new MemoryStore();
    const stdout = new Capture(false, 80);
    const open = async (address: string, watch: string): Promise<Transport> => {
      opened.push(address, watch);
      return store.open();
    };
    const io = {
      stdout,
      stderr: stdout,
      color: false,
      clock: systemClock,
      signal: new AbortController().signal,
      requestedBy: "",
      runProgram: async () => 0,
      keyFile: "/nonexistent/signing.key",
      open,
    };
    expect(await main(["agents", "--share", "/mnt/CPU-GPU", "--watch", "network"], io)).toBe(0);
    expect(await main(["agents"], io)).toBe(0);
    expect(opened).toEqual(["/mnt/CPU-GPU", "network", "/mnt/shared", "auto"]);
  });
});

describe("main()", () => {
  test("names the user and the machine to the agent", async () => {
    const agent = await site.agent("gpu-1");
    expect((await site.run(["ping"])).status).toBe(0);
    expect(agent.commands[0]?.requested_by).toBe("gpuctl:test@here");
  });

  test("gives its reply address up and leaves no command behind, whatever came out", async () => {
    await site.agent("gpu-1", { models: [modelOf("phi4:latest")] });
    await site.agent("gpu-2", { answer: () => ({ success: false, code: "internal", error: "broken" }) });
    expect((await site.run(["ping", "--all"])).status).toBe(1);
    expect((await site.run(["rm", "phi4", "--agent", "gpu-2"])).status).toBe(70);
    expect([...site.store.replies.keys()]).toEqual(["shared"]);
    expect([...site.store.inboxes.values()].map(({ size }) => size)).toEqual([0, 0, 0]);
  });

  test("gives its reply address up when it is stopped while it waits", async () => {
    await site.agent("gpu-1", { answer: () => undefined });
    const { status, stop, stderr } = site.start(["rm", "phi4"]);
    await site.clock.advance(100);
    stop();
    await site.clock.advance(100);
    expect(await status).toBe(130);
    expect(stderr.text).toStartWith("error: Interrupted");
    expect([...site.store.replies.keys()]).toEqual(["shared"]);
  });

  test("prints the transport's error when it cannot be reached, with 69", async () => {
    const run = async (argv: readonly string[]) => {
      const [stdout, stderr] = [new Capture(false, 80), new Capture(false, 80)];
      const hint = "Mount it";
      const transport: Transport = Object.assign(new MemoryStore().open(), {
        connect: () => Promise.reject(new CourierError("unavailable", "/mnt/x has no gpu_commands folder", { hint })),
      });
      const open = async () => transport;
      const signal = new AbortController().signal;
      const status = await main(argv, {
        stdout,
        stderr,
        color: false,
        clock: systemClock,
        signal,
        requestedBy: "",
        runProgram: async () => 0,
        keyFile: "/nonexistent/signing.key",
        open,
      });
      return { status, stdout: stdout.text, stderr: stderr.text };
    };
    const text = "error: /mnt/x has no gpu_commands folder\n  Mount it\n";
    expect(await run(["list"])).toEqual({ status: 69, stdout: "", stderr: text });
    const error = { code: "unavailable", message: "/mnt/x has no gpu_commands folder", hint: "Mount it" };
    expect(JSON.parse((await run(["list", "--json"])).stderr)).toEqual({ error });
  });

  test("ends soon after Ctrl-C although the transport never answers", async () => {
    const stderr = new Capture(false, 80);
    const transport: Transport = Object.assign(site.store.open(), {
      connect: async () => await new Promise<void>(() => undefined),
      close: async () => await new Promise<void>(() => undefined),
    });
    const stop = new AbortController();
    const open = async () => transport;
    const io = {
      stdout: stderr,
      stderr,
      color: false,
      clock: site.clock,
      signal: stop.signal,
      requestedBy: "",
      runProgram: async () => 0,
      keyFile: "/nonexistent/signing.key",
      open,
    };
    const status = main(["list"], io);
    await site.clock.advance(60_000);
    stop.abort();
    await site.clock.advance(5_000);
    expect(await status).toBe(130);
    expect(stderr.text).toBe("error: Stopped while the share did not answer\n");
  });
});
