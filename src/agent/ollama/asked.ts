// One request to Ollama, as messages describe it.

export interface Asked {
  /** What to do: `pull "phi4"`. */
  readonly action: string;
  /** Whether Ollama asks a registry for it: the failures of other requests have their cause on this machine. */
  readonly isPull: boolean;
  /** Of this Ollama. */
  readonly url: string;
}
