// A gpu-agent that kills itself with SIGKILL at one step of one command. Production code has no such steps.
// argv: `before:STEP` or `after:STEP`, the command's id, by how many ms its clock is ahead, then the arguments of gpu-agent.
// A step is a call of one of its parts; `after:STEP:2` is the second of these calls.
import type { AgentParts } from "#src/agent/assemble.ts";
import { main } from "#src/agent.ts";
import { systemClock } from "#src/base/clock.ts";
import type { Closable, Inbox, Listener, Transport } from "#src/transport.ts";

const [point = "", id = "", aheadMs = "0", ...argv] = process.argv.slice(2);

const [when = "", lethal = "", count = "1"] = point.split(":");
/** Set when the command is delivered: earlier calls do not count. */
let isArmed = false;
let times = 0;

function at(reached: string): void {
  if (!isArmed || reached !== `${when}:${lethal}`) return;
  times += 1;
  if (times === Number(count)) process.kill(process.pid, "SIGKILL");
}

/** Both are one step: which of them an agent takes depends on what else has changed, such as the free space of the disk. */
function stepOf(call: string): string {
  return call === "transport.renewState" ? "transport.publishState" : call;
}

/** `part` with a step before and after each of its calls, named `PART.CALL`. */
function watched<Part extends object>(name: string, part: Part): Part {
  return new Proxy(part, {
    get: (target, key) => {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== "function") return member;
      const step = stepOf(`${name}.${String(key)}`);
      return (...args: unknown[]): unknown => {
        at(`before:${step}`);
        const result: unknown = Reflect.apply(member, target, args);
        if (result instanceof Promise) return result.then((value: unknown) => passed(step, value));
        return passed(step, result);
      };
    },
  });
}

function passed<Value>(step: string, value: Value): Value {
  at(`after:${step}`);
  return value;
}

function watchedTransport(transport: Transport): Transport {
  const receive = async (inbox: Inbox, listener: Listener): Promise<Closable> =>
    await transport.receive(inbox, watchedListener(listener));
  return new Proxy(watched("transport", transport), {
    get: (target, key) => (key === "receive" ? receive : Reflect.get(target, key, target)),
  });
}

function watchedListener(listener: Listener): Listener {
  return {
    ...listener,
    deliver: (delivery) => {
      isArmed ||= delivery.id === id;
      at("before:receive");
      listener.deliver(delivery);
      at("after:receive");
    },
  };
}

function withFailPoints(parts: AgentParts): AgentParts {
  return {
    ...parts,
    clock: { ...systemClock, now: () => systemClock.now() + Number(aheadMs) },
    transport: watchedTransport(parts.transport),
    ledger: watched("ledger", parts.ledger),
    ollama: watched("ollama", parts.ollama),
    mirrorSource: parts.mirrorSource === null ? null : watched("mirrorSource", parts.mirrorSource),
  };
}

process.exit(await main(argv, withFailPoints));
