// gpuctl without its verbs: the flags that all of them share.
import { Option } from "@commander-js/extra-typings";
import { CourierError } from "../base/errors.ts";
import { programCommand } from "../program/command.ts";
import { flag, parse } from "../program/flags.ts";
import { VERIFY_MODES } from "../trust/agents/known_agents.ts";
import { HELP_LAYOUT } from "./help/columns.ts";
import { WATCH } from "./io.ts";
import { parseAgents } from "./output/agent_names.ts";

export type Program = ReturnType<typeof baseCommand>;

const DEFAULT_TIMEOUT_S = 30;

const ABOUT = "List, pull and delete Ollama models on GPU machines, over a shared folder or through gpu-server.";

/** How to reach gpu-server, where the share is not mounted. */
const serverFlags = {
  server: () => flag("--server <url>", "address of gpu-server, where the share is not mounted"),
  tokenFile: () =>
    flag(
      "--token-file <file>",
      "file with the token for gpu-server (default: token in the folder of gpuctl's settings)",
    ),
  ca: () => flag("--ca <file>", "certificate of an authority to trust, in addition to those of the system"),
  serverPlain: () => flag("--server-plain", "allow http: to another machine, where others could read the token"),
};

/** `--watch` is the earlier name of `--share-watch`; without a value, after jobs, it is `--follow`. */
function withShare() {
  return programCommand("gpuctl", ABOUT)
    .addOption(serverFlags.server())
    .addOption(serverFlags.tokenFile())
    .addOption(serverFlags.ca())
    .addOption(serverFlags.serverPlain())
    .addOption(flag("--share-watch <how>", "how to watch the share; auto depends on its file system").choices(WATCH))
    .addOption(flag("--watch [how]", "as --share-watch").choices(WATCH).hideHelp())
    .addOption(new Option("-v", "as --version").hideHelp())
    .helpCommand(false)
    .configureHelp(HELP_LAYOUT);
}

export function baseCommand() {
  return withShare()
    .addOption(
      flag("--timeout <seconds>", "how long to wait for an answer, and for an agent that stopped reporting")
        .argParser(parse.seconds)
        .default(DEFAULT_TIMEOUT_S),
    )
    .addOption(
      flag(
        "--agent <name>",
        "agent to use, also as a pattern or range: 'gpu-*', 'gpu-[1-3,7]'; repeat, or separate with commas",
      ).argParser(parseAgents),
    )
    .addOption(new Option("--all", "every known agent; offline ones count as failed"))
    .addOption(
      flag(
        "--verify-agents <mode>",
        "whose signatures must be right: off, known (of agents whose key is known) or all (default: all with --operator-keys, else known)",
      ).choices(VERIFY_MODES),
    )
    .addOption(
      flag("--operator-keys <file>", "public keys of operators, whose roster names the keys of agents; one a line"),
    )
    .addOption(flag("--json", "print JSON, errors too"))
    .addHelpText(
      "after",
      examples("agents", "list", "pull phi4 --agent gpu-1", "rm phi4 --all", "help pull", "help exit-codes"),
    );
}

/** For verbs that change something. Only on the command line: a variable would delete without a question. */
export const YES = new Option("-y, --yes", "do not ask before changing several boxes");
export const DRY_RUN = new Option("--dry-run", "only show what would be done");

/** Flags that once had a variable, and the verbs for which it mattered. */
const NOT_FROM_ENVIRONMENT = ["all", "force"] as const;
const CHANGING_VERBS: ReadonlySet<string> = new Set(["pull", "update", "apply", "rm", "load", "stop", "cp", "cancel"]);

/**
 * Refuses to change anything while a variable asks for more than the command line does.
 * @throws CourierError `invalid`
 */
export function refuseVariables(verb: string, given: Readonly<Record<string, unknown>>): void {
  if (!CHANGING_VERBS.has(verb)) return;
  for (const name of NOT_FROM_ENVIRONMENT) {
    const variable = `GPU_COURIER_${name.toUpperCase()}`;
    if (parse.isOff(process.env[variable]) || given[name] !== undefined || (name === "force" && verb !== "pull"))
      continue;
    throw new CourierError("invalid", `${variable} no longer counts, and nothing was changed`, {
      hint: `Use --${name} on the command line, or unset ${variable}`,
    });
  }
}

/** The end of a help text: command lines that can be typed as they are. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ gpuctl ${line}`).join("\n")}`;
}
