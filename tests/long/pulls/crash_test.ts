// A pull whose agent, or whose Ollama, is killed on the way ends anyway, and fetches next to nothing twice.
import { expect, setDefaultTimeout, test } from "bun:test";
import type { Job } from "#src/protocol.ts";
import { until } from "#tests/process/site/site.ts";
import { LIMIT_MS, OneBox } from "./one_box.ts";

const SIZE = 40_000_000;
const BYTES_PER_SECOND = 3_000_000;

setDefaultTimeout(LIMIT_MS * 2);

async function pullThirtyPercent(box: OneBox): Promise<void> {
  box.askForPull(box.site.registry.offer("m", { layers: [SIZE], bytesPerSecond: BYTES_PER_SECOND }));
  await box.reaches(SIZE * 0.3);
}

/** @returns how the job ended, and how much was fetched of the model, in its sizes */
async function end(box: OneBox): Promise<{ job: Job; fetched: number }> {
  box.site.registry.setSpeed("m", 20_000_000);
  return { job: await box.ended(), fetched: box.site.registry.served("m").bytes / SIZE };
}

test("when the agent is killed at 30 %, its next process goes on with the job", async () => {
  await using box = await OneBox.open();
  const agent = await box.startAgent("--preflight", "on");
  await pullThirtyPercent(box);
  const before = box.job();
  await agent.stop("SIGKILL");
  await box.startAgent("--preflight", "on");
  const { job: after, fetched } = await end(box);
  expect(after).toMatchObject({ id: before?.id, state: "succeeded", total_bytes: after.completed_bytes });
  expect(fetched).toBeWithin(1, 1.1);
});

test("when Ollama is killed at 30 %, the job waits for it and goes on", async () => {
  await using box = await OneBox.open();
  await box.startAgent("--preflight", "on", "--pull-save-interval", "1");
  await pullThirtyPercent(box);
  await box.ollama.kill();
  await until(
    () => /Ollama (does not answer|ended the connection)/.test(box.job()?.note ?? ""),
    "the job says that Ollama is away",
    LIMIT_MS,
  );
  await box.ollama.start();
  const { job: after, fetched } = await end(box);
  expect(after).toMatchObject({ state: "succeeded", note: null });
  expect(after.retries).toBeGreaterThan(0);
  // Saved bytes are not fetched again: only those of the last second, and those on their way when a connection closed.
  expect(fetched).toBeWithin(1, 1.2);
});
