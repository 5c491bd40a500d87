// Pulls of a box with a rate, or outside its hours, whose agent is killed on the way.
import { expect, setDefaultTimeout, test } from "bun:test";
import { z } from "zod";
import { until } from "#tests/process/site/site.ts";
import { LIMIT_MS, OneBox } from "./one_box.ts";

const SIZE = 30_000_000;
const BYTES_PER_SECOND = 5_000_000;

setDefaultTimeout(LIMIT_MS * 2);

test("a pull within a rate goes on when its agent is killed at 30 %, and leaves no helper name", async () => {
  await using box = await OneBox.open();
  const { site, ollama } = box;
  const name = site.registry.offer("m", { layers: [SIZE] });
  const rate = ["--pull-rate", `${BYTES_PER_SECOND / 1e6}MB/s`];
  const agent = await box.startAgent(...rate);
  expect((await site.gpuctl("pull", name, "--detach")).status).toBe(0);
  await box.reaches(SIZE * 0.3);
  await agent.stop("SIGKILL");
  const before = box.job();
  const beganAtMs = performance.now();
  await box.startAgent(...rate);
  expect(await box.ended()).toMatchObject({ id: before?.id, model: name, state: "succeeded" });
  // The agent that was killed may have pulled for another second since it last published its state.
  const left = SIZE - (before?.completed_bytes ?? 0) - BYTES_PER_SECOND;
  expect((performance.now() - beganAtMs) / 1000).toBeGreaterThan((left / BYTES_PER_SECOND) * 0.8);
  expect(site.registry.served("m").bytes / SIZE).toBeWithin(1, 1.5);
  const { models } = z
    .object({ models: z.array(z.object({ name: z.string() })) })
    .parse(await (await fetch(`${ollama.url}/api/tags`)).json());
  expect(models.map((model) => model.name)).toEqual([name]);
});

test("a pull outside the box's hours waits on when its agent is killed, and --now lets the same job go", async () => {
  await using box = await OneBox.open();
  const { site } = box;
  const name = site.registry.offer("m", { layers: [1_000_000] });
  // Read once: another hour may begin on the way.
  const now = new Date().getUTCHours();
  const hour = (later: number): string => `${String((now + later) % 24).padStart(2, "0")}:00`;
  const hours = ["--pull-window", `TZ=UTC ${hour(6)}-${hour(7)}`];
  const agent = await box.startAgent(...hours);
  const asked = await site.gpuctl("pull", name, "--detach");
  expect(asked).toMatchObject({ status: 0, stdout: expect.stringContaining("queued") });
  await until(() => box.job()?.state === "queued", "the job waits", LIMIT_MS);
  const before = box.job();
  expect(before?.waiting_for).toContain(`${hour(6)} UTC`);
  await agent.stop("SIGKILL");
  await box.startAgent(...hours);
  expect(box.job()).toMatchObject({ id: before?.id, state: "queued", waiting_for: before?.waiting_for });
  const { status, stdout } = await site.gpuctl("pull", name, "--now");
  expect([status, stdout.includes("succeeded")]).toEqual([0, true]);
  expect(box.job()).toMatchObject({ id: before?.id, state: "succeeded", waiting_for: null, retry_at: null });
});
