// The way through: list, pull, list, delete, each over another door, and at last the way of the old platform.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "#src/base/format.ts";
import { Model } from "#src/protocol.ts";
import type { Site } from "./site.ts";
import type { Stage } from "./stage.ts";

const MODEL = "llama3.2:1b";
/** As the notes of the old platform have it, its fixed date too. */
const OLD_COMMAND = '{"command": "list_models", "timestamp": "2025-07-15T17:00:00", "command_id": "test_command"}';
const ANSWER_WITHIN_MS = 10_000;

export async function tour(site: Site, stage: Stage): Promise<void> {
  const curl = (rest: string): string => `curl -H "Authorization: Bearer $TOKEN" ${rest}`;

  await stage.step("The platform lists the models over HTTP", curl("$URL/api/config/models"), async () => {
    showModels(stage, await site.call("GET", "/api/config/models"));
  });

  await stage.step("An operator pulls a model and follows it", `gpuctl pull ${MODEL}`, async () => {
    await site.gpuctl("pull", MODEL);
  });

  await stage.step("The model is installed; the list shows on which agents", "gpuctl list", async () => {
    await site.gpuctl("list");
  });

  const body = JSON.stringify({ model_name: MODEL });
  await stage.step(
    "The platform deletes it",
    curl(`-X DELETE -H "Content-Type: application/json" -d '${body}' $URL/api/config/delete-model`),
    async () => {
      const { message } = await site.call("DELETE", "/api/config/delete-model", { model_name: MODEL });
      stage.say(String(message));
    },
  );

  await stage.step(
    "The legacy platform still works: a file in, a file out",
    `echo '${OLD_COMMAND}' | tee share/gpu_commands/test_command.json`,
    async () => {
      await writeFile(join(site.share, "gpu_commands/test_command.json"), OLD_COMMAND);
      const answer = await answered(join(site.share, "gpu_status/test_command_response.json"));
      stage.command("cat share/gpu_status/test_command_response.json");
      showModels(stage, answer);
    },
  );
}

function showModels(stage: Stage, document: Record<string, unknown>): void {
  const models = Model.array().parse(document["models"]);
  if (models.some(({ name }) => name === MODEL)) throw new Error(`${MODEL} exists and should not`);
  stage.facts(models.map(({ name, size }) => [name, formatBytes(size)]));
}

/** The document at `path` once it is there: what is there is whole, for it was renamed into place. */
async function answered(path: string): Promise<Record<string, unknown>> {
  for (const deadlineMs = performance.now() + ANSWER_WITHIN_MS; performance.now() < deadlineMs; await Bun.sleep(5)) {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) return JSON.parse(text);
  }
  throw new Error(`No answer in ${path} after ${ANSWER_WITHIN_MS / 1000} s`);
}
