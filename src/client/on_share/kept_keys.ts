// The keys of the agents as earlier runs of gpuctl saw them, and what this run adds.
import { asCourierError } from "../../base/errors.ts";
import { oneSpelling } from "../../transport/address.ts";
import { type ExpectedKeys, KnownAgents, type VerifyMode } from "../../trust/agents/known_agents.ts";
import { KnownAgentsFile } from "../../trust/agents/known_agents_file.ts";
import type { Printer } from "../output/printer.ts";

export class KeptKeys {
  readonly agents: KnownAgents;
  readonly #file: KnownAgentsFile | null;

  /**
   * @param path undefined: they are not kept
   * @param share its address
   * @param roster its keys beat those of earlier runs
   * @param most as for `KnownAgents`
   */
  constructor(path: string | undefined, share: string, mode: VerifyMode, roster?: ExpectedKeys, most?: number) {
    this.agents = new KnownAgents(mode, roster, most);
    this.#file = path === undefined ? null : new KnownAgentsFile(path, oneSpelling(share));
    try {
      for (const [agent, known] of this.#file?.read() ?? []) this.agents.adopt(agent, known);
    } catch (error) {
      this.agents.failure = asCourierError(error);
    }
  }

  /** @throws CourierError when they cannot be kept */
  save(): void {
    if (this.agents.failure !== null) throw this.agents.failure;
    this.#file?.write(this.agents.unsaved("all"));
    this.agents.saved("all");
  }

  /**
   * As `save()`, at the end of a verb, whose result does not depend on it: a failure is a warning.
   * @param hasFailed the verb has shown why, and that may be the same failure
   */
  close(printer: Printer, hasFailed: boolean): void {
    try {
      this.save();
    } catch (error) {
      if (hasFailed) return;
      const { message, hint } = asCourierError(error);
      printer.note(`Warning: ${message}`, hint);
    }
  }
}
