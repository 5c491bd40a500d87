// Where the agent's parts report that something changed, and the parts that show it listen.

/** `progress`: a pull moved on and nothing else changed. */
export type Change = "state" | "progress";

export interface ChangeListener {
  changed(what: Change): void;
}

export class Changes {
  readonly #listeners: ChangeListener[] = [];

  subscribe(listener: ChangeListener): void {
    this.#listeners.push(listener);
  }

  /** Calls every listener before it returns. */
  notify(what: Change): void {
    for (const listener of this.#listeners) listener.changed(what);
  }
}
