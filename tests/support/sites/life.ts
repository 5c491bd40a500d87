// A process within the test's own that can be killed at any call: what it began never goes on, and nothing reaches it.
import type { Clock } from "#src/base/clock.ts";
import type { StateReader, Transport } from "#src/transport.ts";

/** At which call it dies: just before it is made, or when it was made and the result is on its way. */
export interface Death {
  readonly method: string;
  readonly when: "before" | "after";
}

export class Life {
  /** Set: it dies there. */
  death: Death | null = null;
  readonly #clock: Clock;
  readonly #buried = Promise.withResolvers<void>();
  readonly #died: () => void;
  #isDead = false;
  #underWay = 0;

  /** @param died called once, at the moment of its death */
  constructor(clock: Clock, died: () => void = () => undefined) {
    this.#clock = clock;
    this.#died = died;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Whether a call of its transport is under way, and it will learn of the end. */
  get isBusy(): boolean {
    return this.#underWay > 0 && !this.#isDead;
  }

  kill(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#died();
  }

  /** Lets the drivers' own loops run on, for closing their handles when all is over. */
  bury(): void {
    this.#buried.resolve();
  }

  /** What its own code waits by. */
  get clock(): Clock {
    return this.#clockThat(async () => await new Promise<never>(() => undefined));
  }

  /** What its handles wait by. */
  get handleClock(): Clock {
    return this.#clockThat(async () => await this.#buried.promise);
  }

  /** The transport as it has it. */
  transport(handle: Transport): Transport {
    return new Proxy(handle, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function" || typeof name === "symbol") return value;
        if (name === "now") return () => target.now();
        if (name === "openStates") return () => this.#stateReader(target.openStates());
        return async (...given: unknown[]) =>
          await this.#call(
            name,
            async () =>
              await value.apply(
                target,
                given.map((each) => this.#deaf(each)),
              ),
          );
      },
    });
  }

  #stateReader(reader: StateReader): StateReader {
    const read: StateReader["read"] = async (changed) =>
      await this.#call("openStates", async () => await reader.read((record) => !this.#isDead && changed(record)));
    return { read };
  }

  /** Anything else it calls, with asynchronous methods alone. */
  guard<Called extends object>(called: Called): Called {
    return new Proxy(called, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return async (...given: unknown[]) =>
          await this.#call(String(name), async () => await value.apply(target, given));
      },
    });
  }

  async #call<Result>(method: string, run: () => Promise<Result>): Promise<Result> {
    this.#dieAt(method, "before");
    if (this.#isDead) return await new Promise<never>(() => undefined);
    this.#underWay += 1;
    const ended = await run().then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error;
      },
    );
    this.#underWay -= 1;
    this.#dieAt(method, "after");
    if (this.#isDead) return await new Promise<never>(() => undefined);
    return ended();
  }

  #dieAt(method: string, when: Death["when"]): void {
    if (this.death?.method === method && this.death.when === when) this.kill();
  }

  /** A callback, or an object of them, that hears nothing any more once it is dead. */
  #deaf(given: unknown): unknown {
    if (typeof given === "function") return (...heard: unknown[]) => (this.#isDead ? false : given(...heard));
    if (typeof given !== "object" || given === null || !("deliver" in given)) return given;
    return Object.fromEntries(Object.entries(given).map(([name, callback]) => [name, this.#deaf(callback)]));
  }

  #clockThat(whenDead: () => Promise<void>): Clock {
    return {
      now: () => this.#clock.now(),
      monotonic: () => this.#clock.monotonic(),
      sleep: async (durationMs, signal) => {
        await this.#clock.sleep(durationMs, signal);
        if (this.#isDead) await whenDead();
      },
    };
  }
}
