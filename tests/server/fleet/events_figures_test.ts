// Server-sent events with ?figures=true: each change of an agent that matters, its models, and that it is gone.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { FleetBox } from "#sim/fleet/box.ts";
import { EventSite } from "#tests/support/sites/event_site.ts";
import { until } from "#tests/support/until.ts";

const MODEL = { name: "phi4:latest", size: 9e9, digest: "abc", modified_at: "2026-11-20T10:00:00Z" };
const { gpus } = new FleetBox(1, Date.now()).next(Date.now());

let site: EventSite;
beforeEach(async () => {
  site = await EventSite.open();
});
afterEach(async () => {
  await site.close();
});

test("a listener with figures gets an agent whose labels or GPUs changed, one without does not", async () => {
  const [plain, figures] = [await site.listenTo(), await site.listenTo("/v1/events?figures=true")];
  await site.agent.publish({ labels: { site: "berlin" }, gpus });
  await until(() => figures.events.length === 2);
  expect(figures.events[1]).toMatchObject({ event: "agent", data: { agent: "gpu-1", labels: { site: "berlin" } } });
  await site.agent.publish({ labels: { site: "berlin" }, gpus, status: "draining" });
  await until(() => plain.events.length > 1);
  expect(plain.events.map(({ event, data }) => [event, data.reason])).toEqual([
    ["ready", undefined],
    ["agent", "draining"],
  ]);
});

test("models comes when an installed or a loaded model changed, and not for other figures", async () => {
  const figures = await site.listenTo("/v1/events?figures=true");
  const kinds = (): string[] => figures.events.map(({ event }) => event);
  site.agent.models = [MODEL];
  await site.agent.publish();
  await until(() => kinds().includes("models"));
  expect(figures.events.at(-1)?.data).toEqual({ agent: "gpu-1" });
  await site.agent.publish({ labels: { site: "berlin" } });
  await until(() => kinds().filter((kind) => kind === "agent").length === 2);
  expect(kinds().filter((kind) => kind === "models")).toHaveLength(1);
  site.agent.running = [{ name: MODEL.name, size: 9e9, size_vram: 9e9, expires_at: "2026-11-20T10:00:00Z" }];
  await site.agent.publish({ labels: { site: "berlin" } });
  await until(() => kinds().filter((kind) => kind === "models").length === 2);
});

test("removed comes when an agent is forgotten", async () => {
  const figures = await site.listenTo("/v1/events?figures=true");
  site.server.services.fleet.index.removed("gpu-1");
  await until(() => figures.events.length === 2);
  expect(figures.events[1]).toMatchObject({ event: "removed", data: { agent: "gpu-1" } });
});
