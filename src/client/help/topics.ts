// The topics of `gpuctl help`: options of all verbs, variables, exit statuses, and what --json prints.
import type { Program } from "../base_command.ts";

/** Terms with their descriptions below a heading, and perhaps a last word. */
export interface Topic {
  readonly about: string;
  readonly rows: (program: Program) => readonly (readonly [string, string])[];
  readonly end?: string;
}

const EXIT_STATUSES = [
  ["0", "success"],
  [
    "1",
    "several agents were asked and not all succeeded; doctor: a check failed; mirror verify: damage; plan: any failure",
  ],
  ["2", "plan: the fleet differs from the file"],
  ["64", "invalid: wrong flag, name or value"],
  ["66", "not_found: no such model, agent or job"],
  ["69", "unavailable: share, agent or Ollama cannot be reached; unimplemented: this agent does not support it"],
  ["70", "internal: a bug, or an unknown failure of Ollama"],
  ["73", "conflict: for example several agents and none named"],
  ["74", "the output could not be written"],
  ["75", "deadline_exceeded: no answer in time; exhausted: the disk is too small"],
  ["77", "forbidden, unauthenticated: permission denied, a protected model, no valid token"],
  ["130", "cancelled: Ctrl-C, or a question that was not answered with yes"],
] as const;

const DOCUMENTS = [
  ["agents", "Agents"],
  ["list", "Models"],
  ["outdated", "Updates"],
  ["show", "ShownModel, one per model; with --registry: ModelFit"],
  ["ps", "Running"],
  ["jobs", "Jobs, with the refused commands of each agent; --follow: a Job per change"],
  [
    "pull, update, wait",
    "a Job per change; pull --detach: Jobs, with --mirror through gpu-server one per model, with its Fetch",
  ],
  [
    "plan",
    "differences, and boxes with steps (fits_memory), fetch_bytes, fits (the disk); unknown has the reason; without a file: Desired",
  ],
  ["apply", "a Job per change, then Deleted"],
  ["rm", "Deleted"],
  ["cp", "Copied"],
  ["load", "Loaded"],
  ["stop", "Unloaded"],
  ["disk", "DiskUsages"],
  ["prune", "Pruned, also with --dry-run"],
  ["cancel", "Jobs"],
  ["forget", "agents with commands, or code and error"],
  ["trust", "Trusted; without an agent: agents with key_id and key_status"],
  ["ping", "agents with rtt_ms, or code and error; unavailable; a line per round"],
  ["doctor", "checks with subject, result, message and hint"],
  ["proxy", "agent, url and server"],
  ["key", "id and line"],
  ["mirror list", "Mirror"],
  ["mirror add", "a line per model with model, bytes, size, code and error; with --server or --agent: Fetch"],
  ["mirror fetches", "Fetches"],
  ["mirror cancel", "Fetch, one per id"],
  ["mirror import", "a line per model with model, bytes, code and error"],
  ["mirror rm, gc", "Freed, one per model"],
  ["mirror sign", "a line per model with model, digest and key_id"],
  ["mirror verify", "a line per model with model, size, readable, damaged, missing and removed"],
  ["nats-permissions", "prefix, agents, and configuration as text"],
  ["version", "version"],
  [
    "--dry-run",
    "dry_run, and changes with agent, model, verb, size and skipped; of pull and rm installed, pull_under_way",
  ],
  ["an error", "on stderr: error with code, message and hint"],
] as const;

export const TOPICS: Readonly<Record<string, Topic>> = {
  options: {
    about: "Options of all verbs, before or after the verb:",
    rows: (program) => {
      const helper = program.createHelp();
      return helper
        .visibleOptions(program)
        .map((option) => [helper.optionTerm(option), helper.optionDescription(option)]);
    },
  },
  environment: {
    about: "Variables. A flag on the command line wins:",
    rows: (program) => [...flagVariables(program), ...OTHER_VARIABLES],
    end: "Flags that choose what a line changes, such as --all, --force, --now and --yes, have no variable: the line must show it.",
  },
  "exit-codes": { about: "Exit statuses:", rows: () => EXIT_STATUSES },
  json: {
    about: "What --json prints. Capitalized names are schemas in /openapi.json of gpu-server:",
    rows: () => DOCUMENTS,
    end: "Later releases only add fields. null: unknown, or not yet.",
  },
};

const OTHER_VARIABLES = [
  ["NO_COLOR", "any value: no colors"],
  ["XDG_CONFIG_HOME", "the folder with gpu-courier/, which has your key and the agents' keys (default: ~/.config)"],
] as const;

function flagVariables(program: Program): [string, string][] {
  const commands = [program, ...program.commands];
  const variables = new Map<string, string>();
  for (const { options } of commands)
    for (const { envVar, long, hidden } of options)
      if (envVar !== undefined && !hidden) variables.set(envVar, `as ${long}`);
  return [...variables];
}
