// What a box behind the server answers otherwise than its Ollama, and why: the table of docs/clients.md, request by request.
import type { Answer } from "./answer.ts";

export interface Difference {
  /** A row of the table in docs/clients.md. */
  readonly reason: string;
  /** The part of the box's answer that matters. */
  readonly answer: Partial<Answer>;
}

export const DIFFERENCES: Readonly<Record<string, Difference>> = {};
