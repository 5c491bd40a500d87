// Flags that would have no effect on the way that gpuctl takes to the fleet: they are refused when they are typed.
import { CourierError } from "../../base/errors.ts";
import type { Program } from "../base_command.ts";

/** What each of these flags is about: gpu-server reads the share and asks the registries in its own way. */
const OF_THE_OTHER_WAY = {
  server: {
    watch: "the share",
    shareWatch: "the share",
    verifyAgents: "the share",
    operatorKeys: "the share",
    natsCreds: "NATS",
    natsCa: "NATS",
    natsCert: "NATS",
    natsKey: "NATS",
    natsPrefix: "NATS",
    natsReplicas: "NATS",
    allowRegistry: "registries, which gpu-server asks",
    insecureRegistry: "registries, which gpu-server asks",
  },
  share: { tokenFile: "gpu-server", ca: "gpu-server", serverPlain: "gpu-server" },
} as const;

/** The program, or the verb that runs. */
export interface Flags {
  readonly options: Program["options"];
  opts(): Readonly<Record<string, unknown>>;
  getOptionValueSource(name: string): string | undefined;
}

/**
 * @param way the one that is taken
 * @param given the program and the verb, where that has options of its own
 * @throws CourierError `invalid` for a flag that is typed
 */
export function refuseIgnoredFlags(way: "server" | "share", given: readonly Flags[]): void {
  for (const [name, about] of Object.entries(OF_THE_OTHER_WAY[way])) {
    const typed = given.find((flags) => isTyped(flags, name));
    if (typed === undefined) continue;
    const flag = typed.options.find((option) => option.attributeName() === name)?.long ?? name;
    const [where, hint] =
      way === "server"
        ? ["with --server", "gpu-server has the same flag, on its machine"]
        : ["without --server", "Name gpu-server too: --server URL"];
    throw new CourierError("invalid", `${flag} is about ${about}, and has no meaning ${where}`, { hint });
  }
}

function isTyped(flags: Flags, name: string): boolean {
  // Without a value, after jobs, it is the old name of --follow.
  if (name === "watch" && flags.opts()["watch"] === true) return false;
  return flags.getOptionValueSource(name) === "cli";
}
