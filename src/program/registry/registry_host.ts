// Hosts of registries in the one form in which they are compared, and as the operator names them.
import { CourierError } from "../../base/errors.ts";

/** The registries that pulls may use unless the operator names others; hf.co redirects to huggingface.co. */
export const DEFAULT_REGISTRIES: readonly string[] = ["registry.ollama.ai", "hf.co", "huggingface.co"];
/** In the place of a registry: every one. */
export const ANY_REGISTRY = "*";

type Scheme = "http" | "https";

/** Lower case, without the port that the scheme means anyway: `registry.example:5000`. Undefined: no host. */
export function registryHost(text: string, scheme: Scheme): string | undefined {
  return URL.parse(`${scheme}://${text}`)?.host;
}

/** The registries that may be reached without TLS. */
export class InsecureRegistries {
  readonly #hosts: ReadonlySet<string>;

  /** @param hosts `host:port` of each */
  constructor(hosts: readonly string[]) {
    this.#hosts = new Set(hosts.map((host) => registryHost(host, "http") ?? host));
  }

  has(host: string): boolean {
    return this.#hosts.has(registryHost(host, "http") ?? "");
  }
}

/**
 * A value of `--insecure-registry`, normalized: `http://` in front and `/` behind are left out.
 * @throws CourierError `invalid` with an example for anything but a host and a port
 */
export function parseInsecureRegistry(text: string): string {
  const host = parseHost(text, "http");
  if (host !== undefined) return host;
  throw new CourierError("invalid", `Cannot use ${JSON.stringify(text)} as an insecure registry`, {
    hint: "Give its host and port, for example --insecure-registry registry.example:5000",
  });
}

/**
 * A value of `--allow-registry`, normalized likewise, or `*`.
 * @throws CourierError `invalid` with an example for anything else
 */
export function parseAllowedRegistry(text: string): string {
  const host = text === ANY_REGISTRY ? text : parseHost(text, "https");
  if (host !== undefined) return host;
  throw new CourierError("invalid", `Cannot use ${JSON.stringify(text)} as an allowed registry`, {
    hint: "Give its host, with a port other than 443, for example --allow-registry registry.example:5000; * allows all",
  });
}

function parseHost(text: string, scheme: Scheme): string | undefined {
  const start = `${scheme}://`;
  const bare = (text.toLowerCase().startsWith(start) ? text.slice(start.length) : text).replace(/\/$/, "");
  return /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?$/i.test(bare) ? registryHost(bare, scheme) : undefined;
}
