// The flags that name the registries which gpu-server and gpuctl may ask about models.
import { flag, parse } from "../flags.ts";
import { DEFAULT_REGISTRIES, parseAllowedRegistry, parseInsecureRegistry } from "./registry_host.ts";

export const registryFlags = {
  allowRegistry: (
    description = `a registry that may be asked about models, or * for any; repeatable (default: ${DEFAULT_REGISTRIES.join(", ")})`,
  ) => flag("--allow-registry <host>", description).argParser(parse.list(parseAllowedRegistry)),
  insecureRegistry: (description = "a registry without TLS that may be asked too; repeatable") =>
    flag("--insecure-registry <host:port>", description).argParser(parse.list(parseInsecureRegistry)),
};

/** What these flags say. */
export interface RegistryChoices {
  readonly allowRegistry?: readonly string[] | undefined;
  readonly insecureRegistry?: readonly string[] | undefined;
}

export function chosenRegistries({ allowRegistry, insecureRegistry }: RegistryChoices): {
  readonly allowed: readonly string[];
  readonly insecure: readonly string[];
} {
  return { allowed: allowRegistry ?? DEFAULT_REGISTRIES, insecure: insecureRegistry ?? [] };
}
