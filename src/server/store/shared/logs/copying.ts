// What writes a copy while it follows NATS: after a failure it stops, because what comes then would leave a gap.
import type { Log } from "../../../../base/log.ts";

interface Following {
  readonly ended: Promise<void>;
  close(): void;
}

export class Copying {
  readonly #failed = Promise.withResolvers<void>();
  #isOver = false;

  constructor(log: Log) {
    this.#failed.promise.catch((error: unknown) => log.debug({ error }, "Cannot write the copy"));
  }

  /** Whether it is closed, or has failed. */
  get isOver(): boolean {
    return this.#isOver;
  }

  run(work: () => void): void {
    if (this.#isOver) return;
    try {
      work();
    } catch (error) {
      this.#isOver = true;
      this.#failed.reject(error);
    }
  }

  /** The reading that is copied. Its end rejects with what the copy failed with. */
  following<Reading extends Following>(reading: Reading): Reading {
    const ended = Promise.race([reading.ended, this.#failed.promise]);
    // Not everybody waits for it, and the failure is logged.
    ended.catch(() => undefined);
    const close = (): void => {
      this.#isOver = true;
      reading.close();
    };
    return { ...reading, ended, close };
  }
}
