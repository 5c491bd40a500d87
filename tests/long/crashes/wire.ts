// How the crash matrix sends commands and sees what became of them.
import type { ProcessSite } from "#tests/process/site/site.ts";

export const AGENT = "gpu-1";
export const REPLY_TO = "tester";

export interface Wire {
  /** By which gpu-agent finds it. */
  readonly agentArgs: readonly string[];
  send(id: string, version: 1 | 2, text: string): Promise<void>;
  /** The response that is there; null without one. */
  answer(id: string, version: 1 | 2): Promise<string | null>;
  /** Whether the command is still there. */
  isThere(id: string, version: 1 | 2): Promise<boolean>;
  /** The agent's state document. */
  state(): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

export type OpenWire = (site: ProcessSite) => Promise<Wire>;
