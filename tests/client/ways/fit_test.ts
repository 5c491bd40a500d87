// gpuctl show --registry, over both ways: the model in its registry, and a verdict for each box.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Registry } from "#sim/registry/registry.ts";
import { systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { ModelFitDocument } from "#src/documents/models/fit.ts";
import type { Gpu } from "#src/protocol.ts";
import { errorResponse } from "#src/server/http/problem.ts";
import { AnsweringServer } from "../over_http/answering.ts";
import { TwoWays, WAYS, type Way } from "./two_ways.ts";

const MB = 1e6;
/** With what is added the model needs 511 MB. */
const WEIGHTS = 10 * MB;

let registry: Registry;
let site: TwoWays;
beforeEach(async () => {
  registry = await Registry.start();
  site = await TwoWays.open(systemClock, { insecureRegistries: [registry.host] });
});
afterEach(async () => {
  await site[Symbol.asyncDispose]();
  await registry.stop();
});

function flagsOf(way: Way): readonly string[] {
  return way === "share" ? ["--insecure-registry", registry.host] : [];
}

function gpu(totalBytes: number | null, usedBytes: number | null = 0): Gpu {
  return { index: 0, uuid: "GPU-1", name: "H200", memory_total_bytes: totalBytes, memory_used_bytes: usedBytes };
}

/** Boxes of every kind, and a model whose blobs are never fetched. */
async function openFleet(): Promise<string> {
  registry.offer("big", { layers: [WEIGHTS, 40] });
  const ram = (bytes: number) => ({ total_bytes: bytes, available_bytes: bytes });
  for (const [name, gpus, memory] of [
    ["gpu-1", [gpu(24_000 * MB)], null],
    ["gpu-2", [gpu(24_000 * MB, 23_800 * MB)], ram(64_000 * MB)],
    ["gpu-3", [gpu(400 * MB)], ram(50 * MB)],
    ["gpu-4", [], ram(64_000 * MB)],
  ] as const)
    await site.publish(await site.agent(name), { gpus: [...gpus], memory });
  await site.publish(await site.agent("gpu-5"), { status: "stopped" });
  return `${registry.host}/library/big:latest`;
}

describe.each([...WAYS])("show --registry over the %s", (way) => {
  test("shows the sizes, and whether it fits each box", async () => {
    const name = await openFleet();
    const { status, stdout } = await site.run(way, ["show", name, "--registry", "--json", ...flagsOf(way)]);
    expect(status).toBe(0);
    const found = ModelFitDocument.parse(JSON.parse(stdout));
    expect(found).toMatchObject({
      name,
      state: "published",
      digest: registry.manifestDigest("big"),
      size: expect.any(Number),
      weights_bytes: WEIGHTS,
      assumption: expect.stringContaining("4096 tokens"),
    });
    expect(
      found.agents.map(({ agent, verdict, verdict_now, reason }) => [agent, verdict, verdict_now, reason]),
    ).toEqual([
      ["gpu-1", "fits", "fits", null],
      ["gpu-2", "fits", "fits partly: the rest runs on the CPU", null],
      ["gpu-3", "does not fit", "does not fit", null],
      ["gpu-4", null, null, "no NVIDIA GPU is known on this box"],
    ]);
    expect(found.unavailable?.map(({ agent }) => agent)).toEqual(["gpu-5"]);
    expect(registry.manifestRequests("big")).toBe(1);
  });

  test("fits 80 columns, and names what it assumes", async () => {
    const name = await openFleet();
    const argv = ["show", name, "--registry", "--agent", "gpu-[1-3]", ...flagsOf(way)];
    const { stdout, stderr } = await site.run(way, argv, { terminal: true, columns: 80 });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(5).filter((line) => Bun.stringWidth(line) > 80)).toEqual([]);
    expect(stdout).toContain("weights   10.0 MB");
    expect(lines.filter((line) => line.startsWith("gpu-"))).toHaveLength(3);
    expect(stderr).toContain("an estimate: weights, 10 % for a context of 4096 tokens");
    expect(stdout).not.toContain("gpu-4");
  });

  test("fails for a model that its registry does not have, or does not show", async () => {
    await openFleet();
    const missing = await site.run(way, ["show", `${registry.host}/library/no:1`, "--registry", ...flagsOf(way)]);
    expect([missing.status, missing.stdout]).toEqual([66, ""]);
    expect(missing.stderr).toContain(`has no model "${registry.host}/library/no:1"`);
    registry.break("big", { kind: "manifest", status: 500 });
    const broken = await site.run(way, ["show", `${registry.host}/library/big`, "--registry", ...flagsOf(way)]);
    expect([broken.status, broken.stderr]).toEqual([69, expect.stringContaining("answers 500")]);
  });
});

test("an older server without the route is reported", async () => {
  await using server = await AnsweringServer.open((_, { pathname }) =>
    pathname === "/v1/agents"
      ? Response.json({ agents: [] })
      : errorResponse(pathname, new CourierError("not_found", "No route")),
  );
  const { status, stderr } = await server.run(["show", "phi4", "--registry"]);
  expect(status).toBe(69);
  expect(stderr).toContain("is older than this gpuctl: it has no GET /v1/fit");
});
