// What the tests do with install.sh and the agent in a box, and what they compare. Imports box, the waiting of the process
// tests.
import type { Finished } from "../process/site.ts";
import type { Box } from "./box.ts";

export const AGENT_UNIT = "gpu-command-service";
/** Of the release folders that main.ts makes, see host/releases.ts. */
export type Release = "old" | "new" | "exits" | "silent" | "liar" | "tampered";

/** Runs install.sh of a release as an operator does, without questions. */
export async function install(box: Box, release: Release, ...args: readonly string[]): Promise<Finished> {
  return await box.sh(`sh /srv/${release}/install.sh --yes ${args.join(" ")}`, 180_000);
}

/** Runs install.sh, which must succeed. @returns what it printed */
export async function installed(box: Box, release: Release, ...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await install(box, release, ...args);
  if (status !== 0) throw new Error(`install.sh: exit status ${status}\n${stdout}${stderr}`);
  return stdout + stderr;
}

/** The manual test of the original notes, word for word. @returns the names of the models in its answer */
export async function manualTest(box: Box): Promise<readonly string[]> {
  await box.run("rm -f /mnt/shared/gpu_status/test_command_response.json");
  await box.run(
    `echo '{"command": "list_models", "timestamp": "2025-07-15T17:00:00", "command_id": "test_command"}' | ` +
      "sudo tee /mnt/shared/gpu_commands/test_command.json",
  );
  // The old service writes its answers in place: half of one is none yet.
  const text = await box.until("python3 -m json.tool /mnt/shared/gpu_status/test_command_response.json");
  const { success, models }: { success: boolean; models: readonly { name: string }[] } = JSON.parse(text);
  if (!success) throw new Error(`Not answered well: ${text}`);
  return models.map(({ name }) => name);
}

/** The agent's own document on the share; undefined while there is none. */
export async function agentState(box: Box, agent = "gpu-1"): Promise<Record<string, unknown> | undefined> {
  const { status, stdout } = await box.sh(`cat /export/gpu_status/${agent}_status.json`);
  return status === 0 ? JSON.parse(stdout) : undefined;
}

/** Places that change by themselves: logs, the share, which is no part of the box, and what useradd had before. */
const LEFT_OUT = [
  "/etc/passwd-",
  "/etc/group-",
  "/etc/shadow-",
  "/etc/gshadow-",
  "/export",
  "/var/log",
  "/var/lib/systemd",
  "/var/lib/ollama",
  "/var/tmp",
  "/root",
  "/etc/machine-id",
];

/**
 * Every file of the box, one a line: kind, mode, owner, size, target of a link, path; with hashes of the content.
 * @param besides more places to leave out
 */
export async function snapshot(box: Box, ...besides: readonly string[]): Promise<readonly string[]> {
  const prune = [...LEFT_OUT, ...besides].map((path) => `-path ${path}`).join(" -o ");
  const list = String.raw`find / -xdev \( ${prune} \) -prune -o -printf '%y %m %u:%g %p %l\n' | sort`;
  const hash = String.raw`find /etc /opt /usr/local /var/lib \( ${prune} \) -prune -o -type f -print0 | xargs -0r sha256sum | sort`;
  return (await box.run(`${list}; ${hash}`)).split("\n");
}

/** What is in one and not in the other. */
export function changes(before: readonly string[], after: readonly string[]): string[] {
  const [had, has] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
  ];
}

/** A figure, beside what is judged. */
export function tell(text: string): void {
  process.stderr.write(`  ${text}\n`);
}

/** @returns what it resolved to, and how long it took */
export async function timed<Value>(work: () => Promise<Value>): Promise<{ result: Value; durationMs: number }> {
  const startedMs = performance.now();
  const result = await work();
  return { result, durationMs: performance.now() - startedMs };
}

/** Adds lines to the agent's settings, as an operator does; the last line of a name counts. */
export async function settings(box: Box, ...lines: readonly string[]): Promise<void> {
  for (const line of lines) await box.run(`echo '${line}' >>/etc/gpu-courier/agent.env`);
}

/** Has the agent pull a model that takes half a minute. @returns the job's id, once a part of it is there */
export async function slowPull(box: Box): Promise<string> {
  const folder = "/etc/systemd/system/ollama.service.d";
  await box.run(`mkdir ${folder} && printf '[Service]\\nEnvironment=SPEED=10000000\\n' >${folder}/speed.conf`);
  // Models here are of a registry on the internet by their names: it is not asked.
  await settings(box, "GPU_COURIER_PREFLIGHT=off");
  await box.run(`systemctl daemon-reload && systemctl restart ollama ${AGENT_UNIT}`);
  // Following is cut off; the pull stays.
  await box.until("timeout --signal=INT 3 gpuctl pull gemma3:270m; [ $? = 124 ]");
  const [job] = JSON.parse(await box.run("gpuctl jobs --json")).jobs;
  if (job.state !== "running" || job.completed_bytes === 0) throw new Error(`Not under way: ${JSON.stringify(job)}`);
  return job.id;
}
