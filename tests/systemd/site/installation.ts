// install.sh in a box, and what it installs.
import type { Finished } from "#tests/process/site/site.ts";
import type { Box } from "./box.ts";

export const AGENT_UNIT = "gpu-command-service";
/** What the agent itself writes while it runs. */
export const OWN_STATE = "/var/lib/gpu-agent";
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

/** Adds lines to the agent's settings, as an operator does; the last line of a name counts. */
export async function settings(box: Box, ...lines: readonly string[]): Promise<void> {
  for (const line of lines) await box.run(`echo '${line}' >>/etc/gpu-courier/agent.env`);
}
