// sim/legacy/backend: the legacy backend alone behaves as documented.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { LegacyBackend, type ListOutcome } from "#sim/legacy/backend.ts";
import { TempShare, until, withTimestampOf } from "#sim/legacy/support.ts";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { sampleText } from "#tests/support/wire_samples.ts";

const NOW_MS = 1_752_597_600_000;
const COMMAND = "gpu_commands/list_models_1752597600.json";
const RESPONSE = "gpu_status/list_models_1752597600_response.json";
const ANSWER = sampleText("v1/response_list_models.json");

let share: TempShare;
beforeEach(() => {
  share = new TempShare();
});
afterEach(() => share.remove());

function open(): LegacyBackend {
  return new LegacyBackend(share.path, { pollMs: 5, clock: { ...systemClock, now: () => NOW_MS } });
}

/** A backend with the original's intervals. Its time passes only while it sleeps, and then instantly. */
function openAtOnce(onSleep: (polls: number) => void = () => {}): LegacyBackend {
  let elapsedMs = 0;
  let polls = 0;
  const clock: Clock = {
    now: () => NOW_MS,
    monotonic: () => elapsedMs,
    sleep: async (durationMs) => {
      elapsedMs += durationMs;
      onSleep(++polls);
    },
  };
  return new LegacyBackend(share.path, { clock });
}

async function listAnsweredBy(response: string): Promise<ListOutcome> {
  const listing = open().listModels();
  await until(() => share.holds(COMMAND), "the command exists");
  share.write(RESPONSE, response);
  return await listing;
}

describe("listModels()", () => {
  test("writes the golden command and removes both files when the service has answered", async () => {
    const listing = open().listModels();
    await until(() => share.holds(COMMAND), "the command exists");
    const golden = sampleText("v1/command_list_models.json");
    expect(withTimestampOf(golden, share.read(COMMAND))).toBe(golden);
    share.write(RESPONSE, ANSWER);
    expect(await listing).toMatchObject({ reason: "answered", models: JSON.parse(ANSWER).models });
    expect([...share.list("gpu_commands"), ...share.list("gpu_status")]).toEqual([]);
  });

  test("returns an empty list and leaves the response when its command file is already gone", async () => {
    const listing = open().listModels();
    await until(() => share.holds(COMMAND), "the command exists");
    share.remove(COMMAND);
    share.write(RESPONSE, ANSWER);
    expect(await listing).toMatchObject({ reason: "command_gone", models: [] });
    expect(share.read(RESPONSE)).toBe(ANSWER);
  });

  test.each(["", "{", ANSWER.slice(0, 100)])("returns an empty list at once when the response is %p", async (half) => {
    expect(await listAnsweredBy(half)).toMatchObject({ reason: "unparsable", models: [] });
    expect(share.holds(COMMAND) && share.holds(RESPONSE)).toBe(true);
  });

  test("returns an empty list when the service failed", async () => {
    const outcome = await listAnsweredBy(sampleText("v1/response_exception.json"));
    expect(outcome).toMatchObject({ reason: "service_failed", models: [] });
    expect(outcome.error).toContain("not found");
  });

  test.each(["null", "[]", '{"success": true, "models": [null]}'])(
    "comes back empty when the response is %p",
    async (odd) => {
      expect((await listAnsweredBy(odd)).models).toEqual([]);
    },
  );

  test("probes 30 times in 30 s, then removes its command and never removes a late response", async () => {
    const backend = openAtOnce((polls) => {
      if (polls === 30) share.write(RESPONSE, ANSWER);
    });
    const outcome = await backend.listModels();
    expect(outcome).toMatchObject({ reason: "timed_out", models: [], polls: 30, waitedMs: 30_000 });
    expect(share.holds(COMMAND)).toBe(false);
    expect(share.holds(RESPONSE)).toBe(true);
  });

  test("sees a response at the first probe after it was written", async () => {
    const backend = openAtOnce((polls) => {
      if (polls === 4) share.write(RESPONSE, ANSWER);
    });
    expect(await backend.listModels()).toMatchObject({ reason: "answered", polls: 5, waitedMs: 4_000 });
  });

  test("loses one of two lists that start within the same second, because they share an id", async () => {
    const listings = [open().listModels(), open().listModels()];
    await until(() => share.holds(COMMAND), "the command exists");
    share.write(RESPONSE, ANSWER);
    await until(() => !share.holds(RESPONSE), "one of them took the response");
    share.write(RESPONSE, "");
    const outcomes = await Promise.all(listings);
    expect(outcomes.filter(({ reason }) => reason === "answered")).toHaveLength(1);
    expect(outcomes[0]?.id).toBe(outcomes[1]?.id ?? "");
  });

  test("returns an empty list when it cannot write its command", async () => {
    const backend = open();
    share.remove("gpu_commands");
    expect(await backend.listModels()).toMatchObject({ reason: "failed", models: [], polls: 0 });
  });
});

describe("pullModel() and deleteModel()", () => {
  test("write the golden command and wait for nothing", () => {
    expect([open().pullModel("phi4:latest"), open().deleteModel("phi4:latest")]).toEqual([true, true]);
    for (const command of ["pull_model", "delete_model"]) {
      const golden = sampleText(`v1/command_${command}.json`);
      expect(withTimestampOf(golden, share.read(`gpu_commands/${command}_1752597600.json`))).toBe(golden);
    }
  });

  test("return false when the command cannot be written", () => {
    const backend = open();
    share.remove("gpu_commands");
    expect([backend.pullModel("m"), backend.deleteModel("m")]).toEqual([false, false]);
  });
});

describe("isAlive()", () => {
  function writeStatus(name: string, text: string, ageSeconds: number): void {
    share.write(`gpu_status/${name}`, text);
    utimesSync(join(share.path, "gpu_status", name), NOW_MS / 1000, NOW_MS / 1000 - ageSeconds);
  }

  test("reads the four fields of the newest status by mtime", async () => {
    writeStatus("a_status.json", '{"status": "old"}', 20);
    writeStatus("gpu_status.json", sampleText("v1/status.json"), 10);
    writeStatus("z_status.json", '{"status": "older"}', 30);
    writeStatus("newest_response.json", "{}", 0);
    const { online, status } = await open().isAlive();
    expect(online).toBe(true);
    expect(status).toEqual(JSON.parse(sampleText("v1/status.json")));
  });

  test("reads them from the state document of a version 2 agent", async () => {
    writeStatus("gpu-1_status.json", sampleText("v2/state.json"), 1);
    const { online, status } = await open().isAlive();
    expect(online).toBe(true);
    expect(status).toMatchObject({ status: "running", processed_commands: 41, ollama_available: true });
    expect(status?.["timestamp"]).toBeString();
  });

  test.each([
    [299, true],
    [300, false],
  ])("judges a status that is %p s old: alive is %p", async (ageSeconds, online) => {
    writeStatus("gpu_status.json", sampleText("v1/status.json"), ageSeconds);
    expect((await open().isAlive()).online).toBe(online);
  });

  test("returns offline when the newest status is half-written, and when there is no status", async () => {
    expect(await open().isAlive()).toEqual({ online: false, lastSeenAt: null, status: null });
    writeStatus("gpu_status.json", sampleText("v1/status.json"), 10);
    writeStatus("gpu-1_status.json", "{", 1);
    expect((await open().isAlive()).online).toBe(false);
  });
});
