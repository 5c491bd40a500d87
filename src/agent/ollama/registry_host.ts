// The one form in which hosts of registries are compared: `registry.example:5000`.
import { CourierError } from "../../base/errors.ts";

/** Lower case, without `:80`, which is what plain HTTP means anyway. Undefined: no host. */
export function registryHost(text: string): string | undefined {
  return URL.parse(`http://${text}`)?.host;
}

/** The registries that may be reached without TLS. */
export class InsecureRegistries {
  readonly #hosts: ReadonlySet<string>;

  /** @param hosts `host:port` of each */
  constructor(hosts: readonly string[]) {
    this.#hosts = new Set(hosts.map((host) => registryHost(host) ?? host));
  }

  has(host: string): boolean {
    return this.#hosts.has(registryHost(host) ?? "");
  }
}

/**
 * A value of `--insecure-registry`, normalized: `http://` in front and `/` behind are left out.
 * @throws CourierError `invalid` with an example for anything but a host and a port
 */
export function parseInsecureRegistry(text: string): string {
  const bare = text.replace(/^http:\/\//i, "").replace(/\/$/, "");
  const host = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?$/i.test(bare) ? registryHost(bare) : undefined;
  if (host !== undefined) return host;
  throw new CourierError("invalid", `Cannot use ${JSON.stringify(text)} as an insecure registry`, {
    hint: "Give its host and port, for example --insecure-registry registry.example:5000",
  });
}
