// A share and its programs, and a simulated registry that they may ask without TLS.
import { Registry } from "#sim/registry/registry.ts";
import { ProcessSite } from "./site.ts";

export class RegistrySite extends ProcessSite implements AsyncDisposable {
  readonly registry: Registry;
  /** The options with which gpu-agent, gpu-server and gpuctl ask it. */
  readonly insecure: readonly string[];

  private constructor(registry: Registry) {
    super();
    this.registry = registry;
    this.insecure = ["--insecure-registry", registry.host];
  }

  static async open(): Promise<RegistrySite> {
    return new RegistrySite(await Registry.start());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.registry.stop();
  }
}
