// The command lines of the three programs: shared flags, their environment variables and defaults.
// A flag wins over its environment variable (`--x-y` is GPU_COURIER_X_Y), which wins over the default.
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import manifest from "../../package.json" with { type: "json" };
import { LOG_FORMATS, LOG_LEVELS } from "./log.ts";

export const VERSION: string = manifest.version;

/** Node ends a longer timer at once. */
const MAX_SECONDS = Math.floor((2 ** 31 - 1) / 1000);

/** Values of an environment variable that leave a switch off: commander takes any value as on. */
const UNSET: ReadonlySet<string> = new Set(["", "0", "false", "no", "off"]);

/** A flag with its environment variable, which `--help` shows. An empty value is refused, in the environment ignored. */
export function flag<const Flags extends string>(flags: Flags, description: string): Option<Flags> {
  const option = new Option(flags, description);
  // argParser() and choices() replace this.
  if (option.required) option.argParser(parse.text);
  const name = `GPU_COURIER_${option.name().replaceAll("-", "_").toUpperCase()}`;
  const value = process.env[name];
  const isUnset = value === "" || (option.isBoolean() && value !== undefined && parse.isOff(value));
  return isUnset ? option : option.env(name);
}

const RATE_UNITS: Readonly<Record<string, number>> = { kb: 1e3, mb: 1e6, gb: 1e9 };

/** Parsers for flags, which refuse an empty value. Commander shows their errors with the flag's name. */
export const parse = {
  /** Whether the variable of a switch leaves it off. */
  isOff: (value: string | undefined): boolean => value === undefined || UNSET.has(value.toLowerCase()),
  text: (text: string): string => {
    if (text.trim() !== "") return text;
    throw new InvalidArgumentError("Give a value, or omit the flag");
  },
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
  /** In bytes per second. */
  rate: (text: string): number => {
    const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([kmg]b)(?:\/s)?$/i.exec(text.trim()) ?? [];
    const bytes = Number(amount) * (RATE_UNITS[unit.toLowerCase()] ?? 0);
    if (bytes > 0) return bytes;
    throw new InvalidArgumentError("Give a rate such as 50MB/s");
  },
  port: (text: string): number => {
    const port = Number(text);
    if (/^\d+$/.test(text) && port <= 65_535) return port;
    throw new InvalidArgumentError("Give a port from 0 to 65535");
  },
  address: (text: string): { readonly host: string; readonly port: number } => {
    const parts = /^(?:\[([0-9A-Fa-f:]+)\]|([^:\s]+)):(\d+)$/.exec(text);
    const host = parts?.[1] ?? parts?.[2];
    if (host === undefined) throw new InvalidArgumentError("Use a host and a port, for example 127.0.0.1:8002");
    return { host, port: parse.port(parts?.[3] ?? "") };
  },
  /**
   * For a repeatable flag. Commas separate values in the environment, and also on the command line.
   * @param item checks one value, and returns it in the form that the program compares; throws with an example
   */
  list:
    (item: (text: string) => string) =>
    (text: string, previous: readonly string[] | undefined): string[] => {
      const items = text.split(",").map((each) => each.trim());
      const given = items.filter((each) => each !== "");
      if (given.length === 0) throw new InvalidArgumentError("Give at least one value, or omit the flag");
      return [...(previous ?? []), ...given.map(item)];
    },
};

/** How to watch the share. `auto` depends on its file system. */
const WATCH = ["auto", "local", "network"] as const;

/** The flags of the two services. */
export const serviceFlags = {
  watch: () =>
    flag("--watch <how>", "how to watch the share; auto depends on its file system").choices(WATCH).default(WATCH[0]),
  init: () => flag("--init", "create gpu_commands and gpu_status on a share that does not have them").default(false),
  logLevel: () =>
    flag("--log-level <level>", "minimum log level")
      .choices(LOG_LEVELS)
      .default("info" as const),
  logFormat: () =>
    flag("--log-format <format>", "log format")
      .choices(LOG_FORMATS)
      .default("text" as const),
  stateDir: (service: string) =>
    flag(
      "--state-dir <dir>",
      `local folder for the files of ${service} (default: STATE_DIRECTORY, /var/lib/${service} for root, else the XDG state folder)`,
    ),
};

/** The folder for a service's files when there is no `--state-dir`. */
export function defaultStateDir(service: string, environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment["STATE_DIRECTORY"];
  if (given !== undefined && given !== "") return given.split(":")[0] ?? given;
  if (process.getuid?.() === 0) return `/var/lib/${service}`;
  return `${environment["XDG_STATE_HOME"] ?? `${environment["HOME"] ?? "."}/.local/state`}/${service}`;
}
