// Clients that follow a pull, for sites where it ends with its last follower, as it does in Ollama.
import { asCourierError } from "../../base/errors.ts";
import type { Job } from "../../protocol.ts";
import type { Services } from "../services.ts";

interface Joining {
  /** It was started by this request. A pull that somebody else started is never cancelled. */
  readonly isNew: boolean;
  readonly services: Pick<Services, "cancelsOnDisconnect" | "courier" | "log">;
}

/** Takes the follower's leave; `isClientGone`: its client did not wait for the end. Idempotent. */
export type Leave = (isClientGone: boolean) => void;

export class PullFollowers {
  /** How many follow each job that was started here. */
  readonly #following = new Map<string, number>();
  /** By agent and model, until the box has answered. */
  readonly #canceling = new Map<string, Promise<void>>();

  /** Resolves when no pull of the model is being cancelled: a pull that began meanwhile would join the one that ends. */
  async cancelled(agent: string, model: string): Promise<void> {
    await this.#canceling.get(keyOf(agent, model));
  }

  join(job: Job & { readonly id: string }, { isNew, services }: Joining): Leave {
    const { id } = job;
    const others = this.#following.get(id);
    if (!services.cancelsOnDisconnect || (!isNew && others === undefined)) return () => undefined;
    this.#following.set(id, (others ?? 0) + 1);
    let isHere = true;
    return (isClientGone) => {
      if (!isHere) return;
      isHere = false;
      const left = (this.#following.get(id) ?? 1) - 1;
      if (left > 0) this.#following.set(id, left);
      else this.#following.delete(id);
      if (left <= 0 && isClientGone) this.#cancel(job, services);
    };
  }

  #cancel(job: Job, services: Joining["services"]): void {
    const key = keyOf(job.agent, job.model);
    const canceling = cancel(job, services).finally(() => {
      if (this.#canceling.get(key) === canceling) this.#canceling.delete(key);
    });
    this.#canceling.set(key, canceling);
  }
}

function keyOf(agent: string, model: string): string {
  return `${agent} ${model.toLowerCase()}`;
}

async function cancel(job: Job, { courier, log }: Joining["services"]): Promise<void> {
  const about = { agent: job.agent, job: job.id, model: job.model };
  try {
    await courier.cancelJob(job);
    log.info(about, "Cancelled a pull that nobody follows any more");
  } catch (error) {
    // It has ended by itself meanwhile.
    if (asCourierError(error).code !== "conflict")
      log.warn({ error, ...about }, "Cannot cancel a pull that nobody follows");
  }
}
