// How a simulated pull fails.

/** A failed pull: the text of Ollama's error line. */
export class PullError extends Error {
  override readonly name = "PullError";
}

/** The stream ends here without a last line, after `half` of one. */
export class PullCut extends Error {
  override readonly name = "PullCut";
  readonly half: string;

  constructor(half: string) {
    super("Cut");
    this.half = half;
  }
}
