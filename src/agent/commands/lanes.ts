// Which commands run at the same time: changing commands for one model in order, eight of them at a time, and reading
// commands in lanes of their own, so that quick ones never wait for slow ones.

const AT_A_TIME = 8;

export class Lanes {
  readonly #changing = new Slots(AT_A_TIME);
  readonly #reading = new Slots(AT_A_TIME * 8);
  readonly #lastOfModel = new Map<string, Promise<unknown>>();

  /**
   * Runs a changing command once the earlier ones for the same model are done.
   * @param model for a command without one, any key that no other command has
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

  /** Runs a reading command without waiting for changing ones. */
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
