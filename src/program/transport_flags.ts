// Which transport a program uses, and how it gets into NATS.
import { CourierError } from "../base/errors.ts";
import { flag, parse } from "./flags.ts";

/** Addresses of NATS have commas, so that space separates several in the environment. A path may have space. */
function parseAddresses(text: string, previous: readonly string[] | undefined): readonly string[] {
  const addresses = parse
    .text(text)
    .trim()
    .split(/\s+(?=[a-z][a-z0-9+.-]*:)/);
  return [...(previous ?? []), ...addresses];
}

/** As the transport takes them. */
export interface NatsFlags {
  readonly credsFile: string | undefined;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly prefix: string | undefined;
  readonly replicas: number | undefined;
}

export const transportFlags = {
  transport: () =>
    flag(
      "--transport <address>",
      "instead of --share: share:/mnt/shared, nats://host:4222,host2 or tls://host; gpu-server and gpuctl take several",
    ).argParser(parseAddresses),
  creds: () => flag("--nats-creds <file>", "credentials for NATS: a seed, SU…, or what nsc writes"),
  ca: () => flag("--nats-ca <file>", "certificates that those of NATS are checked with, in addition to the system's"),
  cert: () => flag("--nats-cert <file>", "this program's certificate for NATS"),
  key: () => flag("--nats-key <file>", "the key of that certificate"),
  prefix: () => flag("--nats-prefix <name>", "beginning of all names on NATS (default: gpu_courier)"),
  replicas: () =>
    flag(
      "--nats-replicas <count>",
      "on how many servers NATS keeps each bucket that this program makes (default: 1)",
    ).argParser(parse.count),
};

interface Given {
  readonly share: string;
  readonly transport?: readonly string[] | undefined;
  readonly natsCreds?: string | undefined;
  readonly natsCa?: string | undefined;
  readonly natsCert?: string | undefined;
  readonly natsKey?: string | undefined;
  readonly natsPrefix?: string | undefined;
  readonly natsReplicas?: number | undefined;
}

/**
 * The one address that the command line names; `--transport` wins over `--share`, which has a default.
 * @throws CourierError `invalid` when it names several
 */
export function addressOf({ transport, share }: Pick<Given, "transport" | "share">): string {
  const [first = share, second] = transport ?? [];
  if (second === undefined) return first;
  throw new CourierError("invalid", `Cannot use ${first} and ${second}: an agent has one transport`, {
    hint: "To move a box to another transport: gpu-agent drain, then start it with the new address alone",
  });
}

interface CommandLine {
  opts(): Pick<Given, "transport" | "share">;
  getOptionValueSource(name: "transport" | "share"): string | undefined;
}

/** The addresses that a command line names, in order. `--share` beside `--transport` is the first, unless only one of them is typed. */
export function addressesOf(program: CommandLine): readonly [string, ...string[]] {
  const { share, transport } = program.opts();
  const [shareFrom, transportFrom] = [program.getOptionValueSource("share"), program.getOptionValueSource("transport")];
  const [first, ...rest] = transport ?? [];
  const isTypedAlone = shareFrom === "cli" && transportFrom !== "cli";
  if (first === undefined || isTypedAlone) return [share];
  return shareFrom === transportFrom ? [share, first, ...rest] : [first, ...rest];
}

export function natsFlagsOf(given: Given): NatsFlags {
  return {
    credsFile: given.natsCreds,
    caFile: given.natsCa,
    certFile: given.natsCert,
    keyFile: given.natsKey,
    prefix: given.natsPrefix,
    replicas: given.natsReplicas,
  };
}
