// The flags of the store, and how it gets into NATS.
import { CourierError } from "../../../base/errors.ts";
import { flag } from "../../../program/flags.ts";
import type { NatsOptions } from "../../../transport/nats/options.ts";

export const storeFlags = {
  store: () =>
    flag("--store <where>", "sqlite: on this machine alone; nats: shared by all gpu-servers on the NATS of --transport")
      .choices(["sqlite", "nats"] as const)
      .default("sqlite" as const),
  creds: () =>
    flag(
      "--nats-store-creds <file>",
      "credentials of --store nats, of an account that operators and agents cannot use",
    ),
};

/**
 * Operators who could write the records of tokens would be administrators of gpu-server.
 * @param storeCreds the file of `--nats-store-creds`
 * @throws CourierError `invalid` when only the credentials of the transport are given
 */
export function natsOptionsOfStore(transport: NatsOptions, storeCreds: string | undefined): NatsOptions {
  if (storeCreds !== undefined) return { ...transport, credsFile: storeCreds };
  if (transport.credsFile === undefined) return transport;
  throw new CourierError("invalid", "--store nats needs --nats-store-creds beside --nats-creds", {
    hint: "Give credentials of the account for the store, which `gpuctl nats-permissions` prints: see Several servers in docs/nats.md",
  });
}
