// sim/legacy/service: the legacy service alone behaves as documented.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { LegacyService, type LegacyServiceEvent } from "#sim/legacy/service.ts";
import { TempShare, TinyOllama, until, withTimestampOf } from "#sim/legacy/support.ts";
import { sampleText } from "#tests/support/wire_samples.ts";

let share: TempShare;
let ollama: TinyOllama;
let events: LegacyServiceEvent[];
let services: LegacyService[];
beforeEach(() => {
  share = new TempShare();
  ollama = new TinyOllama();
  events = [];
  services = [];
});
afterEach(async () => {
  await Promise.all(services.map(async (service) => await service.stop()));
  await ollama.stop();
  share.remove();
});

function start(): LegacyService {
  const service = new LegacyService(share.path, ollama.url, { pollMs: 10, onEvent: (event) => events.push(event) });
  services.push(service);
  service.start();
  return service;
}

function command(fields: Record<string, unknown>, file = "x"): void {
  share.write(`gpu_commands/${file}.json`, JSON.stringify(fields));
}

async function responseTo(fields: Record<string, unknown>): Promise<string> {
  command({ command_id: "x", ...fields });
  await until(() => share.holds("gpu_status/x_response.json"), "it is answered");
  return share.read("gpu_status/x_response.json");
}

async function statusWith(text: string): Promise<string> {
  const held = (): string =>
    share.holds("gpu_status/gpu_status.json") ? share.read("gpu_status/gpu_status.json") : "";
  await until(() => held().includes(text), `the status says ${text}`);
  return held();
}

function expectGolden(name: string, text: string): void {
  const golden = sampleText(`v1/${name}.json`);
  expect(withTimestampOf(golden, text)).toBe(golden);
}

describe("start()", () => {
  test("answers list_models with the golden response and removes the command itself", async () => {
    start();
    expectGolden("response_list_models", await responseTo({ command: "list_models" }));
    expect(share.list("gpu_commands")).toEqual([]);
  });

  test("answers a pull before it has ended, and never reports how it ended", async () => {
    start();
    expectGolden("response_pull_model", await responseTo({ command: "pull_model", model_name: "phi4:latest" }));
    await until(() => ollama.requests.includes("pull phi4:latest"), "the pull began");
    expect(events.filter(({ event }) => event === "pull_ended")).toEqual([]);
    ollama.endPulls();
    await until(() => events.some(({ event }) => event === "pull_ended"), "the pull ended");
    expect(share.list("gpu_status").toSorted()).toEqual(["gpu_status.json", "x_response.json"]);
  });

  test("answers success although the pull fails later in its stream", async () => {
    start();
    ollama.endPulls();
    expect(JSON.parse(await responseTo({ command: "pull_model", model_name: "bad" })).success).toBe(true);
    await until(() => events.some(({ event }) => event === "pull_ended"), "the pull ended");
    expect(events.find(({ event }) => event === "pull_ended")).toMatchObject({
      error: expect.stringContaining("file does not exist"),
    });
  });

  test("answers delete_model with the golden response after the delete", async () => {
    start();
    expectGolden("response_delete_model", await responseTo({ command: "delete_model", model_name: "phi4:latest" }));
    expect(ollama.requests).toEqual(["delete phi4:latest"]);
  });

  test.each([
    ["response_exception", { command: "delete_model", model_name: "phi5" }],
    ["response_unknown_command", { command: "reboot" }],
    ["response_model_name_required", { command: "pull_model" }],
    ["response_model_name_required", { command: "delete_model", model_name: "" }],
  ])("answers with the golden %s to %p", async (golden, fields) => {
    start();
    expectGolden(golden, await responseTo(fields));
    expect(share.list("gpu_commands")).toEqual([]);
  });

  test("answers with the client's text when Ollama is down", async () => {
    await ollama.stop();
    start();
    expect(await responseTo({ command: "list_models" })).toContain("Failed to connect to Ollama");
    expect(await statusWith('"processed_commands": 1')).toContain('"ollama_available": false');
  });

  test("writes the golden status when it has run three commands", async () => {
    for (const id of ["a", "b", "c"]) command({ command: "list_models", command_id: id }, id);
    start();
    expectGolden("status", await statusWith('"processed_commands": 3'));
  });

  test("removes a command without an id and does not answer it", async () => {
    command({ command: "delete_model", model_name: "phi4:latest" });
    start();
    await until(() => share.list("gpu_commands").length === 0, "it is removed");
    expect(ollama.requests).toEqual(["delete phi4:latest"]);
    expect(share.list("gpu_status").filter((name) => name.includes("_response"))).toEqual([]);
  });

  test("follows the slashes in an id, wherever they lead", async () => {
    command({ command: "list_models", command_id: "../escaped" });
    start();
    await until(() => share.holds("escaped_response.json"), "it is answered outside gpu_status");
  });
});

describe("remembered names", () => {
  test("are removed without a response when they are written again", async () => {
    start();
    await responseTo({ command: "reboot" });
    share.remove("gpu_status/x_response.json");
    command({ command: "list_models", command_id: "x" });
    await until(() => share.list("gpu_commands").length === 0, "it is removed");
    await statusWith('"processed_commands": 1');
    expect(share.holds("gpu_status/x_response.json")).toBe(false);
  });

  test("are forgotten by a new instance, which runs the remaining commands again", async () => {
    const first = start();
    await responseTo({ command: "delete_model", model_name: "phi4:latest" });
    await first.stop();
    command({ command: "delete_model", model_name: "phi4:latest", command_id: "x" });
    start();
    await until(() => ollama.requests.length === 2, "it is run again");
  });

  test("are cut to 50 when there are over 100, and the count with them", async () => {
    for (let n = 0; n < 101; n++) command({ command: "reboot", command_id: `id${n}` }, `id${n}`);
    start();
    await statusWith('"processed_commands": 50');
    expect(share.list("gpu_status")).toHaveLength(102);
  });
});

describe("half-written commands", () => {
  test("are left alone until they are complete", async () => {
    share.write("gpu_commands/x.json", '{"command": "list_mo');
    start();
    await until(() => events.filter(({ event }) => event === "command_failed").length >= 2, "it is read twice");
    expect(share.list("gpu_status").filter((name) => name.includes("_response"))).toEqual([]);
    expectGolden("response_list_models", await responseTo({ command: "list_models" }));
  });

  test("overwrite the response to the command that was read before them", async () => {
    for (const name of ["a", "b"]) share.write(`gpu_commands/${name}.json`, "");
    const [first, second] = share.list("gpu_commands");
    share.write(`gpu_commands/${first ?? ""}`, '{"command": "list_models", "command_id": "good"}');
    share.write(`gpu_commands/${second ?? ""}`, "{");
    start();
    const answer = "gpu_status/good_response.json";
    await until(() => share.holds("gpu_status/gpu_status.json"), "the first round is over");
    expect(JSON.parse(share.read(answer)).success).toBe(false);
  });

  test("end the round for every later file when they are JSON but not an object", async () => {
    for (const name of ["a", "b"]) share.write(`gpu_commands/${name}.json`, "");
    const [first, second] = share.list("gpu_commands");
    share.write(`gpu_commands/${first ?? ""}`, "[]");
    share.write(`gpu_commands/${second ?? ""}`, '{"command": "list_models", "command_id": "behind"}');
    start();
    await until(() => events.filter(({ event }) => event === "command_failed").length >= 4, "two rounds are over");
    expect(share.holds("gpu_status/behind_response.json")).toBe(false);
    share.remove(`gpu_commands/${first ?? ""}`);
    await until(() => share.holds("gpu_status/behind_response.json"), "it is answered");
  });
});
