// Command lines of the three entry points: flags, their environment variables, and defaults. Imports commander.
// Flags win, then the environment (`--x-y` is GPU_COURIER_X_Y), then the default.
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import manifest from "../../package.json" with { type: "json" };
import { writeError } from "./journal.ts";
import { LOG_FORMATS, LOG_LEVELS } from "./log.ts";

export const VERSION: string = manifest.version;
const DEFAULT_SHARE = "/mnt/shared";

/** A timer that is set for longer ends at once. */
const MAX_SECONDS = Math.floor((2 ** 31 - 1) / 1000);

/** What an environment variable may say to leave a flag alone; commander takes any value of a switch's for yes. */
const UNSET: ReadonlySet<string> = new Set(["", "0", "false", "no", "off"]);

/** A flag with its environment variable, which `--help` names. */
export function flag<const Flags extends string>(flags: Flags, description: string): Option<Flags> {
  const option = new Option(flags, description);
  const name = `GPU_COURIER_${option.name().replaceAll("-", "_").toUpperCase()}`;
  const value = process.env[name];
  const isUnset = value === "" || (option.isBoolean() && UNSET.has(value?.toLowerCase() ?? "on"));
  return isUnset ? option : option.env(name);
}

/** Parsers for flags; each throws what commander shows with the flag's name. */
export const parse = {
  seconds: (text: string): number => {
    const seconds = Number(text);
    if (text.trim() !== "" && seconds > 0 && seconds <= MAX_SECONDS) return seconds;
    throw new InvalidArgumentError(
      `Give a number of seconds above 0 and up to ${MAX_SECONDS} (24 days), for example 30`,
    );
  },
  folder: (text: string): string => {
    if (text.trim() !== "") return text;
    throw new InvalidArgumentError("Give the path of a folder");
  },
  count: (text: string): number => {
    const count = Number(text);
    if (/^\d+$/.test(text) && count > 0 && Number.isSafeInteger(count)) return count;
    throw new InvalidArgumentError("Give a whole number above 0, for example 10");
  },
  port: (text: string): number => {
    const port = Number(text);
    if (/^\d+$/.test(text) && port <= 65_535) return port;
    throw new InvalidArgumentError("Give a port from 0 to 65535");
  },
  /** A repeatable flag; in the environment, and also here, commas separate. */
  list: (text: string, previous: readonly string[] | undefined): string[] => {
    const items = text.split(",").map((item) => item.trim());
    return [...(previous ?? []), ...items.filter((item) => item !== "")];
  },
};

/** A entry point's command with what all three have. */
export function programCommand(name: string, description: string) {
  return new Command(name)
    .description(description)
    .version(VERSION, "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .addOption(flag("--share <dir>", "the shared folder").argParser(parse.folder).default(DEFAULT_SHARE))
    .configureOutput({ writeErr: writeError })
    .exitOverride()
    .showHelpAfterError("(--help tells what there is)");
}

/** How the share may be watched; `auto` uses its file system. */
const WATCH = ["auto", "local", "network"] as const;

/** What the two long-running faces have besides. */
export const serviceFlags = {
  watch: () =>
    flag("--watch <how>", "how to watch the share; auto uses its file system").choices(WATCH).default(WATCH[0]),
  init: () => flag("--init", "make gpu_commands and gpu_status on a share that has none").default(false),
  logLevel: () =>
    flag("--log-level <level>", "least important level that is logged")
      .choices(LOG_LEVELS)
      .default("info" as const),
  logFormat: () =>
    flag("--log-format <format>", "how log lines look")
      .choices(LOG_FORMATS)
      .default("text" as const),
  stateDir: (service: string) =>
    new Option(
      "--state-dir <dir>",
      `what ${service} keeps on its own disk (default: STATE_DIRECTORY, /var/lib/${service} for root, else the XDG state folder)`,
    ).env("GPU_COURIER_STATE_DIR"),
};

/** Where a service keeps its files when `--state-dir` does not say. */
export function defaultStateDir(service: string, environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment["STATE_DIRECTORY"];
  if (given !== undefined && given !== "") return given.split(":")[0] ?? given;
  if (process.getuid?.() === 0) return `/var/lib/${service}`;
  return `${environment["XDG_STATE_HOME"] ?? `${environment["HOME"] ?? "."}/.local/state`}/${service}`;
}
