// The agent of a box, asked from beside it: by the commands of the original notes, by gpuctl, by its state.
import type { Box } from "./box.ts";
import { AGENT_UNIT, settings } from "./installation.ts";

/** Shorter than the unit's, to keep the tests short; over twice as long as a round takes. */
export const WATCHDOG_S = 12;

/** The manual test of the original notes, word for word. @returns the names of the models in its answer */
export async function manualTest(box: Box): Promise<readonly string[]> {
  await box.run("rm -f /mnt/shared/gpu_status/test_command_response.json");
  await box.run(
    `echo '{"command": "list_models", "timestamp": "2025-07-15T17:00:00", "command_id": "test_command"}' | ` +
      "sudo tee /mnt/shared/gpu_commands/test_command.json",
  );
  // The legacy service writes its answers in place: a partial one does not count.
  const text = await box.until("python3 -m json.tool /mnt/shared/gpu_status/test_command_response.json");
  const { success, models }: { success: boolean; models: readonly { name: string }[] } = JSON.parse(text);
  if (!success) throw new Error(`Not answered well: ${text}`);
  return models.map(({ name }) => name);
}

/** The agent's own document on the share; undefined while there is no document. */
export async function agentState(box: Box, agent = "gpu-1"): Promise<Record<string, unknown> | undefined> {
  const { status, stdout } = await box.sh(`cat /export/gpu_status/${agent}_status.json`);
  return status === 0 ? JSON.parse(stdout) : undefined;
}

/** The version that runs, as the agent reports it, and the installed one, by `--version` of gpuctl and of the agent. */
export async function versions(box: Box): Promise<readonly unknown[]> {
  const state = await agentState(box);
  return [state?.["agent_version"], await box.run("gpuctl --version"), await box.run("gpu-agent --version")];
}

/** Has the agent pull a model that takes half a minute. @returns the job's id, once a part of it is there */
export async function slowPull(box: Box): Promise<string> {
  const folder = "/etc/systemd/system/ollama.service.d";
  await box.run(`mkdir ${folder} && printf '[Service]\\nEnvironment=SPEED=10000000\\n' >${folder}/speed.conf`);
  // Models here are of a registry on the internet by their names: it is not asked.
  await settings(box, "GPU_COURIER_PREFLIGHT=off");
  await box.run(`systemctl daemon-reload && systemctl restart ollama ${AGENT_UNIT}`);
  // Following is cut off; the pull stays.
  await box.sh("timeout --signal=INT 3 gpuctl pull gemma3:270m");
  const [job] = JSON.parse(await box.run("gpuctl jobs --json")).jobs;
  if (job.state !== "running" || job.completed_bytes === 0) throw new Error(`Not under way: ${JSON.stringify(job)}`);
  return job.id;
}

/** Has the watchdog of the agent's unit end it after {@link WATCHDOG_S}. */
export async function shortenWatchdog(box: Box): Promise<void> {
  const folder = `/etc/systemd/system/${AGENT_UNIT}.service.d`;
  await box.run(`mkdir ${folder} && printf '[Service]\\nWatchdogSec=${WATCHDOG_S}\\n' >${folder}/watchdog.conf`);
  await box.run(`systemctl daemon-reload && systemctl restart ${AGENT_UNIT}`);
}
