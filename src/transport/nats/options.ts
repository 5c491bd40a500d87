// How to reach a NATS installation, and the address that names it.
import { CourierError } from "../../base/errors.ts";
import { DEFAULT_PREFIX, PREFIX } from "./layout.ts";

export interface NatsOptions {
  /** Credentials as `nsc` writes them, a JWT and its seed; or a seed alone, `SU…`. */
  readonly credsFile?: string | undefined;
  /** Certificates that the servers' certificates are checked with, in PEM. */
  readonly caFile?: string | undefined;
  /** This program's own certificate and its key, in PEM. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The beginning of all names: several installations may share one NATS. */
  readonly prefix?: string | undefined;
  /** On how many servers each bucket is kept, when this program makes it. */
  readonly replicas?: number | undefined;
}

export interface NatsAddress {
  /** `host:port`, each. */
  readonly servers: readonly string[];
  readonly tls: boolean;
}

const ADDRESS = /^(nats|tls):\/\/(.+)$/;
const SERVER = /^(?:\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/i;
const DEFAULT_PORT = 4222;

/**
 * `nats://host:4222,host2` or `tls://…`.
 * @throws CourierError `invalid` with an example
 */
export function parseNatsAddress(address: string): NatsAddress {
  const [, scheme, list = ""] = ADDRESS.exec(address) ?? [];
  const servers = list.split(",").map((server) => {
    const [whole, port = String(DEFAULT_PORT)] = SERVER.exec(server) ?? [];
    return whole === undefined || Number(port) > 65_535 ? null : server.replace(/(?<!:\d+)$/, `:${DEFAULT_PORT}`);
  });
  const known = servers.filter((server) => server !== null);
  if (scheme !== undefined && known.length === servers.length) return { servers: known, tls: scheme === "tls" };
  throw new CourierError("invalid", `Cannot use ${JSON.stringify(address)} as the address of NATS`, {
    hint: "Write it as nats://host:4222 or tls://host1,host2; give credentials with --nats-creds",
  });
}

/** @throws CourierError `invalid` when it cannot be a part of a subject */
export function requirePrefix(prefix: string = DEFAULT_PREFIX): string {
  if (PREFIX.test(prefix)) return prefix;
  throw new CourierError("invalid", `Cannot use ${JSON.stringify(prefix)} as the prefix on NATS`, {
    hint: `Use 1 to 32 of a-z, 0-9 and _, beginning with one of a-z, as in ${DEFAULT_PREFIX}`,
  });
}
