// src/server/models/desired: what is deleted by a file with prune, and what never is.
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { signingKey } from "#src/trust/keys.ts";
import { answerAsAgent, modelOf } from "#tests/support/sites/scripted_agent.ts";
import { endPull, FleetSite, fileOf } from "./fleet_site.ts";

const MINUTE_MS = 60_000;
const OLD = ["phi4:latest", "old:1b"];

async function siteWith(boxes: number, models: readonly string[]): Promise<FleetSite> {
  const site = new FleetSite();
  for (let box = 1; box <= boxes; box++) await site.box(`gpu-${box}`, { models });
  site.text = fileOf(["phi4"], true);
  return site;
}

describe("deletions", () => {
  test("are only shown without --desired-prune", async () => {
    await using site = await siteWith(1, OLD);
    const { kept } = await site.server();
    await site.pass(5 * MINUTE_MS);
    expect(site.commands).toEqual([]);
    expect(kept.document().drift).toMatchObject([
      {
        agent: "gpu-1",
        model: "old:1b",
        action: "delete",
        job: null,
        reason: "gpu-server runs without --desired-prune",
      },
    ]);
  });

  test("are not even drift without prune: true in the file", async () => {
    await using site = await siteWith(1, OLD);
    site.text = fileOf(["phi4"]);
    const { kept } = await site.server({ prune: true });
    await site.pass(5 * MINUTE_MS);
    expect([site.commands, kept.document().drift]).toEqual([[], []]);
  });

  test("wait a minute, in which a mistake in the file can be corrected", async () => {
    await using site = await siteWith(1, OLD);
    const { kept } = await site.server({ prune: true });
    await site.pass(MINUTE_MS);
    expect(kept.document().drift[0]?.reason).toBe("Waits 60 s, in case the file is a mistake");
    site.text = fileOf(["phi4", "old:1b"], true);
    await site.pass(5 * MINUTE_MS);
    expect([site.commands, kept.document().drift]).toEqual([[], []]);
  });

  test("are at most --desired-max-deletes in a minute, on all boxes together", async () => {
    await using site = await siteWith(4, ["phi4:latest", "a:1b", "b:1b", "c:1b"]);
    const { kept } = await site.server({ prune: true, maxDeletes: 5 });
    const counts: number[] = [];
    for (let minute = 0; minute < 6; minute++) {
      await site.pass(MINUTE_MS);
      counts.push(site.commands.length);
    }
    const inEach = counts.map((count, index) => count - (counts[index - 1] ?? 0));
    expect(Math.max(...inEach)).toBe(5);
    expect(counts.at(-1)).toBe(12);
    expect(kept.document().drift).toEqual([]);
  });

  test("wait while the file is being changed, or has a mistake, or is gone", async () => {
    await using site = await siteWith(1, OLD);
    const { kept } = await site.server({ prune: true });
    await site.pass(30_000);
    for (const text of [fileOf(["phi4"], true).slice(0, 20), `${fileOf(["phi4"], true)}purge: 1\n`, null]) {
      site.text = text;
      await site.pass(5 * MINUTE_MS);
      expect(site.commands).toEqual([]);
      expect(kept.document().drift[0]?.reason).toBe("Waits for the file: it is being changed, or has a mistake");
      expect(kept.document().problem).not.toBeNull();
    }
    site.text = fileOf(["phi4"], true);
    await site.pass(MINUTE_MS);
    expect(site.commands).toEqual(["gpu-1 delete_model old:1b"]);
  });

  test("are no more when the file is changed again and again", async () => {
    await using site = await siteWith(1, ["phi4:latest", ...Array.from({ length: 30 }, (_, index) => `m:${index}b`)]);
    await site.server({ prune: true, maxDeletes: 2 });
    await site.pass(2 * MINUTE_MS);
    const before = site.commands.length;
    for (let change = 0; change < 12; change++) {
      site.text = `${fileOf(["phi4"], true)}# ${change}\n`;
      await site.pass(10_000);
    }
    expect(site.commands.length - before).toBeLessThanOrEqual(2 * 2);
  });

  test("never include protected models, loaded ones, and those on a box that pulls", async () => {
    await using site = new FleetSite();
    await site.box("gpu-1", { models: OLD, protect: ["old:*"] });
    const loaded = await site.box("gpu-2", { models: OLD });
    loaded.running = [{ name: "old:1b", size: 1, size_vram: 1, expires_at: "" }];
    const pulling = await site.box("gpu-3", { models: ["old:1b"], answer: answerAsAgent });
    site.text = fileOf(["phi4"], true);
    const { kept } = await site.server({ prune: true });
    await site.pass(10 * MINUTE_MS);
    expect(site.commands).toEqual(["gpu-3 pull_model phi4:latest"]);
    expect(kept.document().drift.map(({ agent, action, reason }) => [agent, action, reason])).toEqual([
      ["gpu-2", "delete", "It is loaded"],
      ["gpu-3", "pull", null],
      ["gpu-3", "delete", "Waits until nothing is pulled or missing on this box"],
    ]);
    loaded.running = [];
    endPull(pulling, "phi4:latest");
    await site.pass(3 * MINUTE_MS);
    expect(site.commands.filter((command) => command.includes("delete"))).toEqual([
      "gpu-2 delete_model old:1b",
      "gpu-3 delete_model old:1b",
    ]);
  });

  test("never follow an unsigned state where agents sign", async () => {
    await using site = new FleetSite();
    await site.box("gpu-1", { models: OLD, key: signingKey(generateKeyPairSync("ed25519").privateKey) });
    await site.box("gpu-2", { models: OLD });
    site.text = fileOf(["phi4"], true);
    const { kept } = await site.server({ prune: true });
    await site.pass(10 * MINUTE_MS);
    expect(site.commands).toEqual(["gpu-1 delete_model old:1b"]);
    expect(kept.document().drift).toMatchObject([
      { agent: "gpu-2", action: "delete", reason: "Nothing is deleted by a state that is not signed" },
    ]);
  });

  test("follow unsigned states where no agent signs", async () => {
    await using site = await siteWith(2, OLD);
    await site.server({ prune: true });
    await site.pass(5 * MINUTE_MS);
    expect(site.commands.toSorted()).toEqual(["gpu-1 delete_model old:1b", "gpu-2 delete_model old:1b"]);
  });

  test("that a box refuses are repeated at growing intervals, with its reason", async () => {
    await using site = new FleetSite();
    await site.box("gpu-1", {
      models: OLD,
      answer: () => ({ success: false, code: "forbidden", error: "Only signed commands" }),
    });
    site.text = fileOf(["phi4"], true);
    const { kept } = await site.server({ prune: true });
    await site.pass(30 * MINUTE_MS);
    expect(site.commands.length).toBe(4);
    expect(kept.document().drift[0]?.reason).toMatch(/Only signed commands.*; next attempt at /);
  });

  test("leave boxes alone that the file does not name", async () => {
    await using site = new FleetSite();
    await site.box("gpu-1", { models: [modelOf("old:1b")] });
    await site.box("other-1", { models: [modelOf("old:1b")] });
    site.text = 'models:\n  - name: phi4\n    on: "gpu-*"\nprune: true\n';
    await site.server({ prune: true });
    await site.pass(5 * MINUTE_MS);
    expect(site.commands).toEqual(["gpu-1 pull_model phi4:latest", "gpu-1 delete_model old:1b"]);
  });
});
