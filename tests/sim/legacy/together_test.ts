// The two legacy programs lose their responses when they run together, as in production. Both also run as processes.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { LegacyBackend, type ListOutcome } from "#sim/legacy/backend.ts";
import { LegacyService } from "#sim/legacy/service.ts";
import { TempShare, TinyOllama, until } from "#sim/legacy/support.ts";
import { systemClock } from "#src/base/clock.ts";
import { sampleText } from "#tests/support/wire_samples.ts";

let share: TempShare;
let ollama: TinyOllama;
beforeEach(() => {
  share = new TempShare();
  ollama = new TinyOllama();
});
afterEach(async () => {
  await ollama.stop();
  share.remove();
});

test("listModels() returns an empty list 6 times out of 6 when the legacy service answers, on a local disk", async () => {
  const service = new LegacyService(share.path, ollama.url, { pollMs: 25 });
  service.start();
  let nowMs = Date.now();
  // Each list starts in a new second. Within the same second their ids would be equal, which is another fault.
  const clock = { ...systemClock, now: () => nowMs };
  const backend = new LegacyBackend(share.path, { pollMs: 10, clock });
  const outcomes: ListOutcome[] = [];
  for (let turn = 0; turn < 6; turn++) {
    outcomes.push(await backend.listModels());
    nowMs += 1_000;
  }
  await service.stop();
  expect(outcomes.map(({ models, reason }) => ({ models, reason }))).toEqual(
    Array.from({ length: 6 }, () => ({ models: [], reason: "command_gone" })),
  );
  const left = share.list("gpu_status").filter((name) => name.endsWith("_response.json"));
  expect(left.toSorted()).toEqual(outcomes.map(({ id }) => `${id}_response.json`));
});

describe("processes", () => {
  function spawn(script: string, args: string[]) {
    const path = join(import.meta.dir, "../../../sim/legacy", script);
    const child = Bun.spawn([process.execPath, path, share.path, ...args], { stdout: "pipe", stderr: "inherit" });
    const stop = async (): Promise<void> => {
      child.kill("SIGTERM");
      await child.exited;
    };
    return { exited: child.exited, stop, lines: async () => parseLines(await new Response(child.stdout).text()) };
  }

  function parseLines(text: string): object[] {
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line): object => JSON.parse(line));
  }

  test("backend_main.ts prints the result of listModels()", async () => {
    const backend = spawn("backend_main.ts", ["list", "--poll-ms", "10", "--timeout-ms", "10000"]);
    try {
      const commands = (): string[] => (share.holds("gpu_commands") ? share.list("gpu_commands") : []);
      await until(() => commands().length === 1, "the command exists");
      const id = commands()[0]?.replace(".json", "") ?? "";
      await until(() => share.read(`gpu_commands/${id}.json`).endsWith("}"), "the command is whole");
      const answer = sampleText("v1/response_list_models.json");
      share.publish(`gpu_status/${id}_response.json`, answer);
      expect(await backend.lines()).toMatchObject([
        { event: "list", reason: "answered", id, models: JSON.parse(answer).models },
      ]);
      expect(await backend.exited).toBe(0);
    } finally {
      await backend.stop();
    }
  });

  test("service_main.ts prints its events and ends on SIGTERM", async () => {
    const service = spawn("service_main.ts", [ollama.url, "--poll-ms", "10"]);
    try {
      share.publish("gpu_commands/test_command.json", sampleText("v1/command_by_hand.json"));
      await until(() => share.holds("gpu_status/test_command_response.json"), "it is answered");
      await until(() => !share.holds("gpu_commands/test_command.json"), "the command is removed");
      await service.stop();
      expect(await service.exited).toBe(0);
      expect(await service.lines()).toEqual([
        { event: "started" },
        { event: "answered", file: "test_command.json", id: "test_command", success: true },
        { event: "stopped" },
      ]);
    } finally {
      await service.stop();
    }
  });

  test("service_main.ts shows a half-written response to a reader when it has a write gap", async () => {
    const service = spawn("service_main.ts", [ollama.url, "--poll-ms", "10", "--write-gap-ms", "150"]);
    try {
      share.publish("gpu_commands/test_command.json", sampleText("v1/command_by_hand.json"));
      const response = "gpu_status/test_command_response.json";
      const seen = new Set<string>();
      await until(() => {
        if (share.holds(response)) seen.add(share.read(response));
        return [...seen].some((text) => text.endsWith("}"));
      }, "the response is whole");
      expect(seen.size).toBeGreaterThan(1);
    } finally {
      await service.stop();
    }
  });
});
