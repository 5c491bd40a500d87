// What the agents logged about commands, and what is wrong in the end.

/** One run of a command, or its refusal, as the agent logged it. */
export interface Ran {
  readonly agent: string;
  readonly id: string;
  /** Null: not logged, as of a run that failed. */
  readonly beginMs: number | null;
  readonly endMs: number;
  /** `success`, or the code of the failure. */
  readonly code: string;
  /** False: it was refused without a run. */
  readonly didRun: boolean;
}

export interface Anomaly {
  /** Which invariant is broken, in a word or two. */
  readonly kind: string;
  readonly text: string;
}
