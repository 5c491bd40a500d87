// src/server/models/desired: the fleet follows its file, in simulated time.
import { describe, expect, test } from "bun:test";
import { answerAsAgent, modelOf } from "#tests/support/sites/scripted_agent.ts";
import { endPull, FleetSite, fileOf } from "./fleet_site.ts";

/** The file is steady, compared, and what it asks for is sent. */
const TAKEN_UP_MS = 20_000;
const MINUTE_MS = 60_000;

describe("KeptFleet", () => {
  test("pulls what the file names, once, and then finds no drift", async () => {
    await using site = new FleetSite();
    await site.box("gpu-1", { models: ["phi4:latest"] });
    await site.box("gpu-2");
    site.text = fileOf(["phi4", "gemma3:12b"]);
    const { kept } = await site.server();
    expect(kept.document()).toMatchObject({ status: "waiting", models: 0, checked_at: null });
    await site.pass(TAKEN_UP_MS);
    const pulls = ["gpu-1 pull_model gemma3:12b", "gpu-2 pull_model phi4:latest", "gpu-2 pull_model gemma3:12b"];
    expect(site.commands).toEqual(pulls);
    await site.pass(10 * MINUTE_MS);
    expect(site.commands).toEqual(pulls);
    expect(kept.document()).toMatchObject({ status: "active", models: 2, problem: null, drift: [], unknown: [] });
  });

  test("names itself in the jobs and in the audit", async () => {
    await using site = new FleetSite();
    const box = await site.box("gpu-1");
    site.text = fileOf(["phi4"]);
    const { audit } = await site.server();
    await site.pass(TAKEN_UP_MS);
    expect(box.commands.map(({ requested_by }) => requested_by)).toEqual(["gpu-server:desired"]);
    const [entry] = audit.read({}, { limit: 10 });
    expect(entry).toMatchObject({ who: "gpu-server:desired", way: "server", request: "gpu-server --desired" });
    expect(entry).toMatchObject({ verb: "pull_model", agent: "gpu-1", model: "phi4:latest", outcome: "ok" });
  });

  test("takes a box that is away for unknown, and brings it up to date when it comes back", async () => {
    await using site = new FleetSite();
    await site.box("gpu-1", { models: ["phi4:latest"] });
    const box = await site.box("gpu-2", { models: ["old:1b"] });
    site.away.add("gpu-2");
    await site.pass(30_000);
    site.text = fileOf(["phi4"], true);
    const { kept } = await site.server({ prune: true });
    await site.pass(5 * MINUTE_MS);
    expect(kept.document()).toMatchObject({ drift: [], unknown: ["gpu-2"] });
    expect(site.commands).toEqual([]);
    site.away.delete("gpu-2");
    await site.pass(4 * MINUTE_MS);
    expect(site.commands).toEqual(["gpu-2 pull_model phi4:latest", "gpu-2 delete_model old:1b"]);
    expect(kept.document()).toMatchObject({ drift: [], unknown: [] });
    expect(box.models.map(({ name }) => name)).toEqual(["phi4:latest"]);
  });

  test("asks a box that refuses at growing intervals, and shows its reason", async () => {
    await using site = new FleetSite();
    const box = await site.box("gpu-1", {
      answer: () => ({ success: false, code: "exhausted", error: "9.1 GB needed, 4.0 GB free" }),
    });
    site.text = fileOf(["phi4"]);
    const { kept, logged } = await site.server();
    await site.pass(TAKEN_UP_MS);
    expect(kept.document().drift).toMatchObject([{ agent: "gpu-1", action: "pull", job: null }]);
    expect(kept.document().drift[0]?.reason).toMatch(
      /^9\.1 GB needed, 4\.0 GB free; next attempt at 2026-01-02T03:05:\d\d\.000Z$/,
    );
    await site.pass(6 * 60 * MINUTE_MS);
    // After 1, 4, 16, 64 and 256 minutes.
    expect(box.commands.length).toBe(6);
    expect(logged.filter((line) => line.startsWith("Drift stays")).length).toBe(6);
    // A person frees some room, and changes the file.
    box.answer = answerAsAgent;
    site.text = `${fileOf(["phi4"])}# again\n`;
    await site.pass(TAKEN_UP_MS);
    expect(box.commands.length).toBe(7);
    expect(kept.document().drift[0]).toMatchObject({ job: box.jobs[0]?.id, reason: null });
  });

  test("does not repeat a pull that failed at once, also after a restart", async () => {
    await using site = new FleetSite();
    const box = await site.box("gpu-1", { answer: answerAsAgent });
    site.text = fileOf(["phi4"]);
    const first = await site.server();
    await site.pass(TAKEN_UP_MS);
    for (let failure = 0; failure < 3; failure++) {
      endPull(box, "phi4:latest", null);
      await site.pass(70 * MINUTE_MS);
      expect(box.commands.length).toBe(2 + failure);
    }
    endPull(box, "phi4:latest", null);
    await first.stop();
    const { kept } = await site.server();
    await site.pass(60 * MINUTE_MS);
    expect(box.commands.length).toBe(4);
    expect(kept.document().drift[0]?.reason).toStartWith("The last pull failed: no route to host; next attempt at ");
    await site.pass(10 * MINUTE_MS);
    expect(box.commands.length).toBe(5);
  });

  test("leaves a pull that a person cancelled alone for an hour", async () => {
    await using site = new FleetSite();
    const box = await site.box("gpu-1", { answer: answerAsAgent });
    site.text = fileOf(["phi4"]);
    await site.server();
    await site.pass(TAKEN_UP_MS);
    box.jobs = box.jobs.map((job) => ({ ...job, state: "cancelled", code: "cancelled", ended_at: box.now() }));
    await site.pass(58 * MINUTE_MS);
    expect(box.commands.length).toBe(1);
    await site.pass(4 * MINUTE_MS);
    expect(box.commands.length).toBe(2);
  });

  test("does nothing twice when it is restarted in the middle", async () => {
    await using site = new FleetSite();
    for (const name of ["gpu-1", "gpu-2"]) await site.box(name, { models: ["old:1b"], answer: answerAsAgent });
    site.text = fileOf(["phi4"], true);
    for (let restart = 0; restart < 3; restart++) {
      const { stop } = await site.server({ prune: true });
      await site.pass(TAKEN_UP_MS);
      await stop();
    }
    expect(site.commands).toEqual(["gpu-1 pull_model phi4:latest", "gpu-2 pull_model phi4:latest"]);
    for (const box of site.boxes.values()) endPull(box, "phi4:latest");
    const { kept } = await site.server({ prune: true });
    await site.pass(5 * MINUTE_MS);
    expect(site.commands.filter((command) => command.includes("delete"))).toEqual([
      "gpu-1 delete_model old:1b",
      "gpu-2 delete_model old:1b",
    ]);
    expect(site.commands.length).toBe(4);
    expect(kept.document().drift).toEqual([]);
  });

  test("goes on comparing while a box does not answer, and asks that one later", async () => {
    await using site = new FleetSite();
    const silent = await site.box("gpu-1", { answer: () => undefined });
    await site.box("gpu-2");
    site.text = fileOf(["phi4"]);
    const { kept } = await site.server();
    await site.pass(TAKEN_UP_MS);
    expect(silent.commands.length).toBe(1);
    expect(Date.parse(kept.document().checked_at ?? "")).toBeGreaterThan(site.clock.now() - 12_000);
    expect(kept.document().drift.map(({ agent }) => agent)).toEqual(["gpu-1"]);
    await site.pass(30_000);
    expect(kept.document().drift[0]?.reason).toMatch(/gpu-1.*; next attempt at /);
    silent.answer = answerAsAgent;
    await site.pass(2 * MINUTE_MS);
    expect([silent.commands.length, silent.jobs.length]).toEqual([2, 1]);
  });

  test("stops within seconds while a registry does not answer", async () => {
    await using site = new FleetSite();
    await site.box("gpu-1", { models: ["phi4:latest"] });
    site.text = fileOf(["phi4"]);
    site.hanging = Promise.withResolvers<void>();
    const { stop } = await site.server();
    await site.pass(TAKEN_UP_MS);
    let isStopped = false;
    const stopping = stop().finally(() => {
      isStopped = true;
    });
    await site.clock.advance(6_000);
    expect(isStopped).toBe(true);
    site.hanging.resolve();
    await stopping;
  });

  test("joins no more than two pulls of a box at a time, and counts those of people", async () => {
    await using site = new FleetSite();
    const box = await site.box("gpu-1", { answer: answerAsAgent });
    site.text = fileOf(["a:1b", "b:1b", "c:1b"]);
    const { kept } = await site.server();
    await site.pass(5 * MINUTE_MS);
    expect(site.commands).toEqual(["gpu-1 pull_model a:1b", "gpu-1 pull_model b:1b"]);
    expect(kept.document().drift[2]?.reason).toBe("Waits for other pulls on this box");
    endPull(box, "a:1b");
    await site.pass(2 * MINUTE_MS);
    expect(site.commands.at(-1)).toBe("gpu-1 pull_model c:1b");
  });
});

describe("updates", () => {
  const PINNED = `models:\n  - name: phi4\n    on: all\n    digest: "${"b".repeat(64)}"\n`;

  test("pulls what its registry has replaced, and asks for each name once", async () => {
    await using site = new FleetSite();
    for (const name of ["gpu-1", "gpu-2", "gpu-3"])
      await site.box(name, { models: ["phi4:latest", "own:1b"], answer: answerAsAgent });
    site.registry.set("phi4:latest", "new1");
    site.text = fileOf(["phi4", "own:1b"]);
    const { kept } = await site.server();
    await site.pass(3 * MINUTE_MS);
    expect(site.asked).toEqual(["phi4:latest", "own:1b"]);
    expect(site.commands).toEqual(["gpu-1", "gpu-2", "gpu-3"].map((name) => `${name} pull_model phi4:latest`));
    expect(kept.document().drift.map(({ action }) => action)).toEqual(["update", "update", "update"]);
    for (const box of site.boxes.values()) endPull(box, "phi4:latest", "new1");
    await site.pass(20 * MINUTE_MS);
    expect(site.commands.length).toBe(3);
    expect(kept.document().drift).toEqual([]);
  });

  test("pulls a model with another digest than the file's, if the registry has that one", async () => {
    await using site = new FleetSite();
    await site.box("gpu-1", { models: ["phi4:latest"], answer: answerAsAgent });
    site.registry.set("phi4:latest", "c".repeat(64));
    site.text = PINNED;
    const { kept } = await site.server();
    await site.pass(3 * MINUTE_MS);
    expect(kept.document().drift[0]).toMatchObject({ action: "update" });
    expect(kept.document().drift[0]?.reason).toBe("Its registry has another digest than the file: cccccccccccc");
    expect(site.commands).toEqual([]);
    site.registry.set("phi4:latest", "b".repeat(64));
    await site.pass(11 * MINUTE_MS);
    expect(site.commands).toEqual(["gpu-1 pull_model phi4:latest"]);
  });

  test("leaves a model that has the file's digest, and deletes beside it, when its registry has a newer one", async () => {
    await using site = new FleetSite();
    const pinned = modelOf("phi4:latest", { digest: "b".repeat(64), modified_at: "2026-01-01T00:00:00Z" });
    await site.box("gpu-1", { models: [pinned, "old:1b"] });
    site.registry.set("phi4:latest", "c".repeat(64));
    site.text = `${PINNED}prune: true\n`;
    const { kept } = await site.server({ prune: true });
    await site.pass(3 * MINUTE_MS);
    expect(kept.document().drift).toEqual([]);
    expect(site.commands).toEqual(["gpu-1 delete_model old:1b"]);
  });

  test("has a box ask for a registry that gpu-server does not reach", async () => {
    await using site = new FleetSite();
    const published = { digest: "b".repeat(64), total_bytes: 1, weights_bytes: null };
    for (const name of ["gpu-1", "gpu-2"])
      await site.box(name, {
        models: ["phi4:latest"],
        answer: (command, agent) =>
          command.command === "published_model" ? { published } : answerAsAgent(command, agent),
      });
    site.reachesRegistries = false;
    site.text = fileOf(["phi4"]);
    await site.server();
    await site.pass(3 * MINUTE_MS);
    expect(site.commands).toEqual(["gpu-1 pull_model phi4:latest", "gpu-2 pull_model phi4:latest"]);
    const asked = [...site.boxes.values()].flatMap(({ commands }) =>
      commands.filter(({ command }) => command === "published_model"),
    );
    expect(asked.length).toBe(1);
  });

  test("does not pull again and again what stays another one", async () => {
    await using site = new FleetSite();
    const box = await site.box("gpu-1", {
      models: ["phi4:latest"],
      answer: (command, agent) => {
        const answer = answerAsAgent(command, agent);
        endPull(agent, "phi4:latest", "still-old");
        return answer;
      },
    });
    site.text = PINNED;
    const { kept } = await site.server();
    await site.pass(60 * MINUTE_MS);
    expect(box.commands.length).toBe(4);
    expect(kept.document().drift[0]?.reason).toStartWith("The last pull succeeded, and the model still differs; next");
  });
});
