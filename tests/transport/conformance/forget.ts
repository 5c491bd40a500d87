// Scenarios: forgetting an agent that is gone.
import { expect } from "bun:test";
import type { Transport } from "#src/transport.ts";
import { failure } from "#tests/support/failure.ts";
import { FAST, GPU } from "./addresses.ts";
import type { Scenario } from "./scenario.ts";

const ID = "01a20aac-24d0-7785-b91f-da066d157a40";

/** An agent with its state, its inbox, and commands that it never read. @returns when its state was published */
async function leftBehind(on: Transport, agent: string, commands: readonly string[]): Promise<number> {
  await on.openInbox({ agent });
  await on.publishState(agent, '{"n":1}');
  for (const id of commands) await on.send({ agent }, id, "{}", FAST);
  return (await on.readState(agent))?.publishedAtMs ?? Number.NaN;
}

export const FORGET_SCENARIOS: readonly Scenario[] = [
  {
    name: "forget() removes an agent's state and inbox when it was not published again, and nothing of others",
    run: async ({ connected }) => {
      const [agent, operator] = [await connected(), await connected()];
      const publishedAtMs = await leftBehind(agent, "gpu-1", [ID, "other-id"]);
      await leftBehind(agent, "gpu-10", [ID]);
      expect(await operator.forget("gpu-1", publishedAtMs)).toEqual({ commands: 2 });
      expect((await operator.readStates()).map((record) => record.agent)).toEqual(["gpu-10"]);
      expect(await failure(operator.send(GPU, ID, "{}", FAST))).toMatchObject({ code: "not_found" });
      expect(await operator.withdraw({ agent: "gpu-10" }, ID)).toBe(true);
    },
  },
  {
    name: "forget() takes the time of publication that readStates() returns",
    run: async ({ connected }) => {
      const [agent, operator] = [await connected(), await connected()];
      await leftBehind(agent, "gpu-1", [ID]);
      const [state] = await operator.readStates();
      expect(await operator.forget("gpu-1", state?.publishedAtMs ?? Number.NaN)).toEqual({ commands: 1 });
    },
  },
  {
    name: "forget() returns null and removes nothing when the agent has published again, or has no document",
    needs: ["aging"],
    run: async ({ connected, store }) => {
      const [agent, operator] = [await connected(), await connected()];
      await leftBehind(agent, "gpu-1", [ID]);
      await store.age(60_000);
      const { publishedAtMs } = (await operator.readState("gpu-1")) ?? { publishedAtMs: 0 };
      await agent.publishState("gpu-1", '{"n":2}');
      expect(await operator.forget("gpu-1", publishedAtMs)).toBeNull();
      expect((await operator.readState("gpu-1"))?.content).toEqual({ text: '{"n":2}' });
      expect(await operator.withdraw(GPU, ID)).toBe(true);
      expect(await operator.forget("gpu-2", publishedAtMs)).toBeNull();
    },
  },
  {
    name: "forget() leaves an agent that comes back able to make its inbox and state again",
    run: async ({ connected }) => {
      const [agent, operator] = [await connected(), await connected()];
      const publishedAtMs = await leftBehind(agent, "gpu-1", []);
      await operator.forget("gpu-1", publishedAtMs);
      await leftBehind(agent, "gpu-1", []);
      await operator.send(GPU, ID, "{}", FAST);
      expect(await operator.withdraw(GPU, ID)).toBe(true);
      expect((await operator.readState("gpu-1"))?.agent).toBe("gpu-1");
    },
  },
  {
    name: "forget() throws invalid for a text that is no agent's name",
    run: async ({ connected }) => {
      const operator = await connected();
      for (const name of ["../gpu-1", ".claims", "", "a/b", "GPU 1"])
        expect(await failure(operator.forget(name, 0))).toMatchObject({ code: "invalid" });
    },
  },
  {
    name: "watchStates() reports an agent as removed after forget()",
    run: async ({ connected }) => {
      const [agent, operator, reader] = [await connected(), await connected(), await connected()];
      const publishedAtMs = await leftBehind(agent, "gpu-1", []);
      const [seen, removed] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
      const ignore = (): void => undefined;
      await reader.watchStates({
        changed: (record) => seen.resolve(record.agent),
        alive: ignore,
        removed: removed.resolve,
        synced: ignore,
        interrupted: ignore,
        restored: ignore,
        away: ignore,
      });
      // One that it has not seen yet is not removed for it.
      expect(await seen.promise).toBe("gpu-1");
      await operator.forget("gpu-1", publishedAtMs);
      expect(await removed.promise).toBe("gpu-1");
    },
  },
];
