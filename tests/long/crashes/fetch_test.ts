// Every step of a fetch into the mirror: an agent killed there with SIGKILL and started again finishes it, once.
import { expect, test } from "bun:test";
import { utimesSync } from "node:fs";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { until } from "#tests/process/site/site.ts";
import { caughtUp, unfinishedBytes, unfinishedFiles } from "../mirror/unfinished.ts";
import { killedAtEach, pointsOf } from "./one_verb.ts";
import { AGENT, type Wire } from "./wire.ts";

const STEPS = [
  "receive",
  "ledger.read",
  "transport.isUnchanged",
  "ledger.start",
  "ledger.keepFetch",
  "mirrorSource.fetch",
  "ledger.respond",
  "transport.publishState",
  "transport.respond",
  "transport.release",
];
const POINTS = pointsOf(STEPS);
const BYTES = 200_000;
const KILLED = 128 + 9;

interface Shown {
  readonly model: string;
  readonly state: string;
}

test("an agent killed at any step of a fetch and started again has the model in the mirror, by one fetch", async () => {
  await using site = await RegistrySite.open();
  const { registry, insecure } = site;
  const models = POINTS.map((_, number) => registry.offer(`m${number}`, { layers: [BYTES, 1000] }));
  const { url: ollamaUrl } = await site.ollama({});
  const agentArgs = ["--mirror-source", ...insecure];
  const { answers, wire } = await killedAtEach(site, {
    verb: "fetch_model",
    points: POINTS,
    fields: (attempt) => ({ model_name: models[attempt] }),
    ollamaUrl,
    agentArgs,
    afterDeath: () => ageUnfinished(site.share),
  });
  for (const answer of answers) expect(answer).toMatchObject({ success: true });
  await until(async () => (await fetchesOf(wire)).every(({ state }) => state === "succeeded"), "all fetches ended");
  const fetched = (await fetchesOf(wire)).map(({ model }) => model);
  expect(fetched.toSorted()).toEqual(models.toSorted());
  const listed = JSON.parse((await site.gpuctl("mirror", "list", "--json")).stdout).models;
  expect(listed).toHaveLength(models.length);
  expect(listed.filter(({ missing_blobs }: { missing_blobs: number }) => missing_blobs > 0)).toEqual([]);
  expect(unfinishedFiles(site.share)).toEqual([]);
}, 180_000);

test("an agent killed at 30 % of a fetch goes on there, and a second source fetches nothing of it again", async () => {
  await using site = await RegistrySite.open();
  const { registry, insecure } = site;
  const [bytes, bytesPerSecond] = [20_000_000, 5_000_000];
  const model = registry.offer("big", { layers: [bytes, 1000], bytesPerSecond });
  const { url } = await site.ollama({});
  const args = ["--mirror-source", ...insecure];
  const dying = await site.agent(AGENT, url, args);
  const ask = site.start("client.ts", ["--share", site.share, "mirror", "add", model, "--agent", AGENT]);
  await until(() => unfinishedBytes(site.share) > 0.3 * bytes, "30 % are in the mirror");
  await caughtUp(site, "big");
  expect(await dying.stop("SIGKILL")).toBe(KILLED);
  await site.agent("gpu-2", url, args);
  registry.setSpeed("big", bytesPerSecond);
  await site.agent(AGENT, url, args);
  const second = site.start("client.ts", ["--share", site.share, "mirror", "add", model, "--agent", "gpu-2"]);
  expect(await second.exited()).toBe(0);
  await until(() => JSON.stringify(site.state(AGENT)["fetches"]).includes('"succeeded"'), "it went on");
  await ask.exited();
  const copies = registry.served("big").bytes / bytes;
  process.stdout.write(
    `agent killed at 30 % of a fetch, with two sources: ${copies.toFixed(3)} copies from the registry\n`,
  );
  expect(copies).toBeLessThanOrEqual(1.02);
}, 120_000);

async function fetchesOf(wire: Wire): Promise<readonly Shown[]> {
  const { fetches } = await wire.state();
  return Array.isArray(fetches) ? fetches : [];
}

/** As if its 30 s had passed, in which nobody takes over what another fetcher has left. */
function ageUnfinished(share: string): void {
  const longAgo = new Date(Date.now() - 60_000);
  for (const path of unfinishedFiles(share)) utimesSync(path, longAgo, longAgo);
}
