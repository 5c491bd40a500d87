// src/server/models/desired with several servers on one store: one of them acts, all compare.
import { expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import { Lease } from "#src/server/store/shared/lease.ts";
import { OneKey } from "#tests/server/store/one_key.ts";
import { answerAsAgent } from "#tests/support/sites/scripted_agent.ts";
import { endPull, FleetSite, fileOf } from "./fleet_site.ts";

const MINUTE_MS = 60_000;

/** One server's way to the bucket; each can be cut off alone. */
function wayTo(bucket: OneKey) {
  const way = { isCut: false };
  const open = (): OneKey => {
    if (way.isCut) throw new Error("It is away");
    return bucket;
  };
  const calls: ConstructorParameters<typeof Lease>[0]["bucket"] = {
    get: async () => await open().get(),
    put: async (...given) => await open().put(...given),
    remove: async (...given) => await open().remove(...given),
  };
  return Object.assign(way, { calls });
}

async function twoServers(site: FleetSite, maxDeletes = 5) {
  const bucket = new OneKey(site.clock);
  const open = async () => {
    const way = wayTo(bucket);
    const lease = new Lease({ bucket: way.calls, key: "lease.desired", clock: site.clock, log: silentLog });
    return { way, server: await site.server({ prune: true, maxDeletes }, { desiredLease: lease }) };
  };
  return [await open(), await open()] as const;
}

test("of two servers one acts, and both show the drift", async () => {
  await using site = new FleetSite();
  for (const name of ["gpu-1", "gpu-2"]) await site.box(name, { answer: answerAsAgent });
  site.text = fileOf(["phi4"]);
  const [first, second] = await twoServers(site);
  await site.pass(2 * MINUTE_MS);
  expect(site.commands).toEqual(["gpu-1 pull_model phi4:latest", "gpu-2 pull_model phi4:latest"]);
  const documents = [first, second].map(({ server }) => server.kept.document());
  expect(documents.map(({ status }) => status)).toEqual(["active", "standby"]);
  for (const { drift } of documents) expect(drift.map(({ job }) => job)).toEqual(["gpu-1", "gpu-2"].map(jobOf));
  function jobOf(name: string): string | null {
    return site.boxes.get(name)?.jobs[0]?.id ?? null;
  }
});

test("another one goes on when the acting one is cut off, and does nothing twice", async () => {
  await using site = new FleetSite();
  const box = await site.box("gpu-1", { models: ["old:1b"], answer: answerAsAgent });
  site.text = fileOf(["phi4"], true);
  const [first, second] = await twoServers(site);
  await site.pass(MINUTE_MS);
  first.way.isCut = true;
  await site.pass(10_000);
  const statuses = [first, second].map(({ server }) => server.kept.document().status);
  expect(statuses).toEqual(["standby", "active"]);
  await site.pass(5 * MINUTE_MS);
  expect(site.commands).toEqual(["gpu-1 pull_model phi4:latest"]);
  endPull(box, "phi4:latest");
  first.way.isCut = false;
  await site.pass(5 * MINUTE_MS);
  expect(site.commands).toEqual(["gpu-1 pull_model phi4:latest", "gpu-1 delete_model old:1b"]);
  expect([first, second].map(({ server }) => server.kept.document().status)).toEqual(["standby", "active"]);
});

test("another one that goes on deletes nothing for a minute: the first one may just have", async () => {
  await using site = new FleetSite();
  await site.box("gpu-1", { models: ["phi4:latest", "a:1b", "b:1b", "c:1b"] });
  site.text = fileOf(["phi4"], true);
  const [first, second] = await twoServers(site, 1);
  while (site.commands.length === 0) await site.pass(5_000);
  first.way.isCut = true;
  await site.pass(40_000);
  expect(second.server.kept.document().status).toBe("active");
  expect(site.commands.length).toBe(1);
  await site.pass(MINUTE_MS);
  expect(site.commands.length).toBe(2);
});

test("a server that stops in the middle leaves the rest to the other one", async () => {
  await using site = new FleetSite();
  for (let box = 1; box <= 30; box++)
    await site.box(`gpu-${box}`, {
      answer: async (command, agent) => {
        // Each takes a while, so that the first server stops before it has sent all.
        await site.clock.sleep(500);
        return answerAsAgent(command, agent);
      },
    });
  site.text = fileOf(["phi4"]);
  const [first, second] = await twoServers(site);
  while (site.commands.length === 0) await site.pass(1_000);
  const stopping = first.server.stop();
  await site.pass(MINUTE_MS);
  await stopping;
  const pulls = [...site.boxes.values()].flatMap(({ jobs }) => jobs);
  expect(pulls.length).toBe(30);
  expect(second.server.kept.document().drift.filter(({ job }) => job === null)).toEqual([]);
});
