// src/courier/mailbox/reply_judge.ts: which replies answer the command that was sent.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { judgeReply, type SentCommand } from "#src/courier/mailbox/reply_judge.ts";
import { newPull, Response } from "#src/protocol.ts";

const WIRE = join(import.meta.dir, "../../fixtures/wire");
const SENT: SentCommand = { version: 2, id: "ping-1", agent: "gpu-1", text: "{}" };
const GOOD = { success: true, version: 2, command_id: "ping-1", agent: "gpu-1" };

function judge(reply: object | string, sent: SentCommand = SENT): string {
  const judgment = judgeReply(sent, typeof reply === "string" ? reply : JSON.stringify(reply));
  return "mismatch" in judgment ? judgment.mismatch : "matches";
}

describe("judgeReply()", () => {
  test.each([
    ["the response to it", GOOD, "matches"],
    ["a field of a later release", { ...GOOD, later: [1] }, "matches"],
    ["another command's", { ...GOOD, command_id: "ping-2" }, "it is for another command"],
    ["no command's", { ...GOOD, command_id: undefined }, "it is for another command"],
    ["another agent's", { ...GOOD, agent: "gpu-2" }, "it is not from gpu-1"],
    ["no agent's", { ...GOOD, agent: null }, "it is not from gpu-1"],
    ["version 1", { success: true, models: [] }, "it is not of version 2"],
    ["no response", { ...GOOD, success: "yes" }, "it does not follow the protocol"],
    ["a list", "[]", "it does not follow the protocol"],
    ["no JSON", "pong", "it does not follow the protocol"],
  ])("compares what was asked with %s", (_, reply, verdict) => {
    expect(judge(reply)).toBe(verdict);
  });

  test("leaves out the jobs under another agent's name", () => {
    const [own, other] = [newPull("a", "gpu-1", "phi4"), newPull("b", "gpu-2", "phi4")];
    const judged = (reply: object): unknown => judgeReply(SENT, JSON.stringify({ ...GOOD, ...reply }));
    expect(judged({ job: own, jobs: [other, own] })).toMatchObject({ response: { job: own, jobs: [own] } });
    expect(judged({ job: other, jobs: [other] })).toEqual({ response: { ...GOOD, jobs: [] } });
  });

  test("accepts what is missing in a response of version 1, and compares the id where there is one", () => {
    const sent: SentCommand = { version: 1, id: "list_models_1", agent: "gpu", text: "{}" };
    const response = { success: true, models: [] };
    expect(judge(response, sent)).toBe("matches");
    expect(judge({ ...response, command_id: "list_models_1" }, sent)).toBe("matches");
    expect(judge({ ...response, command_id: "list_models_2" }, sent)).toBe("it is for another command");
  });

  test("accepts the responses of every release", () => {
    const verdicts = (["v1", "v2"] as const).flatMap((folder) => {
      const names = readdirSync(join(WIRE, folder)).filter((name) => name.startsWith("response_"));
      return names.map((name) => {
        const text = readFileSync(join(WIRE, folder, name), "utf8");
        const { command_id: id = "list_models_1", agent = "gpu" } = Response.parse(JSON.parse(text));
        return [name, judge(text, { version: folder === "v1" ? 1 : 2, id, agent, text: "{}" })];
      });
    });
    expect(verdicts.length).toBeGreaterThan(20);
    expect(verdicts.filter(([, verdict]) => verdict !== "matches")).toEqual([]);
  });
});
