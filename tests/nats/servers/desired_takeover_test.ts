// Two gpu-servers with the same file: one keeps the fleet to it. It is killed, and the other one goes on, without doing anything twice.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "#tests/support/until.ts";
import { type SharingServer, SharingSite } from "./site.ts";

const LEADS = "This server keeps the fleet to its file now";
const BOXES = ["gpu-1", "gpu-2", "gpu-3"];

let site: SharingSite;
beforeAll(async () => {
  site = await SharingSite.open();
});
afterAll(async () => {
  await site.close();
});

async function statusOf({ url, token }: SharingServer): Promise<string> {
  const response = await fetch(`${url}/v1/desired`, { headers: { authorization: `Bearer ${token}` } });
  return JSON.parse(await response.text()).status;
}

test("of two servers one sends each pull once, and after its kill -9 the other one sends what is new", async () => {
  const agents = await Promise.all(BOXES.map(async (name) => await site.agent(name)));
  const reporting = setInterval(() => void Promise.all(agents.map(async (agent) => await agent.publish())), 3_000);
  const pulls = (): string[] =>
    agents.flatMap(({ commands }) =>
      commands.filter(({ command }) => command === "pull_model").map(({ model_name }) => model_name ?? ""),
    );
  try {
    const file = join(site.stateDirOf("first"), "fleet.yaml");
    writeFileSync(file, "models:\n  - name: phi4\n    on: all\n");
    const first = await site.server("first", ["--desired", file]);
    await first.process.logged(LEADS);
    const second = await site.server("second", ["--desired", file]);
    await until(() => pulls().length === BOXES.length);
    await until(async () => (await statusOf(second)) === "standby");
    expect(await statusOf(first)).toBe("active");
    await first.process.stop("SIGKILL");
    const killedMs = performance.now();
    await second.process.logged(LEADS);
    const afterMs = performance.now() - killedMs;
    writeFileSync(file, "models:\n  - name: phi4\n    on: all\n  - name: gemma3:12b\n    on: all\n");
    await until(() => pulls().length === 2 * BOXES.length);
    process.stdout.write(`desired: the next server acts ${(afterMs / 1000).toFixed(1)} s after a kill -9\n`);
    expect(pulls().toSorted()).toEqual([...BOXES.map(() => "gemma3:12b"), ...BOXES.map(() => "phi4:latest")]);
    expect(afterMs).toBeLessThan(15_000);
  } finally {
    clearInterval(reporting);
  }
}, 120_000);
