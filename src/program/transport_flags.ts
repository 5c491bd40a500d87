// Which transport a program uses, and how it gets into NATS.
import { flag, parse } from "./flags.ts";

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
      "instead of --share: share:/mnt/shared, nats://host:4222,host2 or tls://host",
    ).argParser(parse.text),
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
  readonly transport?: string | undefined;
  readonly natsCreds?: string | undefined;
  readonly natsCa?: string | undefined;
  readonly natsCert?: string | undefined;
  readonly natsKey?: string | undefined;
  readonly natsPrefix?: string | undefined;
  readonly natsReplicas?: number | undefined;
}

/** The address that the command line names; `--transport` wins over `--share`, which has a default. */
export function addressOf({ transport, share }: Pick<Given, "transport" | "share">): string {
  return transport ?? share;
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
