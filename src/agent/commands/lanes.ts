// Who may run beside whom: changing commands for one model in order, eight commands at a time, quick ones never behind slow ones.
// Imports nothing.

const AT_A_TIME = 8;

export class Lanes {
  readonly #changing = new Slots(AT_A_TIME);
  readonly #reading = new Slots(AT_A_TIME * 8);
  readonly #lastOfModel = new Map<string, Promise<unknown>>();

  /**
   * Runs one changing command when those for the same model that came before it are done.
   * @param model or, for a command without one, what no other command has
   */
  async changing<Value>(model: string, run: () => Promise<Value>): Promise<Value> {
    const key = model.toLowerCase();
    const before = this.#lastOfModel.get(key);
    const mine = (async () => {
      await before?.catch(() => undefined);
      return await this.#changing.run(run);
    })();
    this.#lastOfModel.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#lastOfModel.get(key) === mine) this.#lastOfModel.delete(key);
    }
  }

  /** Runs one reading command: beside everything else, in a lane of its own. */
  async reading<Value>(run: () => Promise<Value>): Promise<Value> {
    return await this.#reading.run(run);
  }
}

class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<Value>(task: () => Promise<Value>): Promise<Value> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
