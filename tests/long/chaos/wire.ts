// A sender that notes what it really sends, withdraws and receives: a Courier on a transport that is listened to.
import { AsyncLocalStorage } from "node:async_hooks";
import { systemClock } from "#src/base/clock.ts";
import { asCourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { Courier } from "#src/courier.ts";
import type { Job } from "#src/protocol.ts";
import { openTransport } from "#src/transport/open.ts";
import type { Transport } from "#src/transport.ts";
import type { Command } from "./history.ts";

export class Sender {
  readonly #transport: Transport;
  readonly #courier: Courier;
  readonly #current = new AsyncLocalStorage<Command>();
  readonly #byId = new Map<string, Command>();

  /** @param share the path where this sender sees the share */
  constructor(share: string, name: string) {
    this.#transport = openTransport(share, { create: "never", watch: "auto", clock: systemClock, log: silentLog });
    this.#courier = new Courier(this.#listening(), { sender: name, timeoutMs: 30_000 });
  }

  async open(): Promise<void> {
    await this.#transport.connect();
  }

  async close(): Promise<void> {
    await this.#courier.close();
    await this.#transport.close();
  }

  /** Sends the command and waits for its end; never rejects. */
  async request(command: Command, signal?: AbortSignal): Promise<void> {
    const { inbox, verb, model, destination, jobId, ttlMs: timeoutMs } = command;
    const given = { ...(destination === null ? {} : { destination }), ...(jobId === null ? {} : { job_id: jobId }) };
    const request = { verb, ...(model === null ? {} : { modelName: model }), arguments: given };
    try {
      await this.#current.run(command, async () => await this.#courier.request(inbox, request, { timeoutMs, signal }));
      command.end = { atMs: Date.now(), code: "success", message: "" };
    } catch (error) {
      const { code, message } = asCourierError(error);
      command.end = { atMs: Date.now(), code, message };
    }
  }

  /** Round trip to an agent, in ms. */
  async ping(agent: string): Promise<number> {
    return await this.#courier.ping(agent, { timeoutMs: 10_000 });
  }

  async jobs(agent: string): Promise<readonly Job[]> {
    return await this.#courier.jobHistory(agent, { timeoutMs: 10_000 });
  }

  #listening(): Transport {
    const transport = this.#transport;
    const replaced: Partial<Transport> = {
      send: async (inbox, id, text, options) => {
        const command = this.#begin(id);
        await transport.send(inbox, id, text, options);
        if (command !== undefined) command.publishedByMs = Date.now();
      },
      withdraw: async (inbox, id) => {
        const isWithdrawn = await transport.withdraw(inbox, id);
        const command = this.#byId.get(id);
        if (isWithdrawn && command !== undefined) command.withdrawnAtMs = Date.now();
        return isWithdrawn;
      },
      openReplies: async (address, wanted, accept) =>
        await transport.openReplies(address, wanted, (reply) => {
          const { id, content } = reply;
          const text = "text" in content ? content.text : `refused: ${content.refused}`;
          this.#byId.get(id)?.answers.push({ atMs: Date.now(), text });
          return accept(reply);
        }),
    };
    return new Proxy(transport, {
      get: (target, key) => {
        if (Object.hasOwn(replaced, key)) return Reflect.get(replaced, key);
        const member: unknown = Reflect.get(target, key, target);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  }

  #begin(id: string): Command | undefined {
    const command = this.#current.getStore();
    if (command === undefined) return undefined;
    command.id = id;
    command.sentFromMs = Date.now();
    this.#byId.set(id, command);
    return command;
  }
}
