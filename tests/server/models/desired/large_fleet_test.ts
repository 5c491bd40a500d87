// src/server/models/desired with 200 boxes and 20 models: how long a comparison and a round take.
import { expect, test } from "bun:test";
import { systemClock } from "#src/base/clock.ts";
import { parseFleetFile } from "#src/program/desired/fleet_file.ts";
import { Attempts } from "#src/server/models/desired/attempts.ts";
import { Comparison } from "#src/server/models/desired/comparison.ts";
import { RegistryAnswers } from "#src/server/models/desired/registry_answers.ts";
import { FleetSite, fileOf } from "./fleet_site.ts";

test("200 boxes with 20 models each are compared in under a second, and get a pull each in one round", async () => {
  await using site = new FleetSite();
  const names = Array.from({ length: 20 }, (_, index) => `model-${index}:latest`);
  for (let box = 1; box <= 200; box++) await site.box(`gpu-${box}`, { models: names.slice(1) });
  const text = fileOf(names, true);
  const { fleet, kept } = await site.server({ prune: true });
  await site.pass(5_000);
  const comparison = new Comparison({
    attempts: new Attempts({ clock: systemClock, now: () => systemClock.now() }),
    answers: new RegistryAnswers({
      courier: { publishedModel: async () => await Promise.reject(new Error("Nobody is asked")) },
      publishedModels: { ask: async () => await Promise.resolve(new Map()) },
      clock: systemClock,
    }),
    agents: { verifies: true },
    file: { isSettled: true },
    prune: true,
    maxDeletes: 5,
    clock: systemClock,
  });
  const startedMs = performance.now();
  const { drift } = await comparison.compare(parseFleetFile(text, "fleet.yaml"), fleet.lastKnown());
  const comparedMs = performance.now() - startedMs;
  process.stdout.write(`Compared 200 boxes x 20 models in ${comparedMs.toFixed(0)} ms (target: 1000 ms)\n`);
  expect(drift.length).toBe(200);
  expect(comparedMs).toBeLessThan(5 * 1000);
  site.text = text;
  const roundMs = performance.now();
  await site.pass(15_000);
  process.stdout.write(
    `A round of gpu-server with 200 pulls: ${(performance.now() - roundMs).toFixed(0)} ms, boxes included\n`,
  );
  expect(site.commands.length).toBe(200);
  expect(kept.document().drift).toEqual([]);
});
