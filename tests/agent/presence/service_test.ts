// When the agent notifies systemd: that it is ready, its status line, and the watchdog. By the clock of the test.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Heartbeat } from "#src/agent/presence/heartbeat.ts";
import { statusLine } from "#src/agent/presence/status_line.ts";
import { CourierError } from "#src/base/errors.ts";
import { type Log, silentLog } from "#src/base/log.ts";
import type { ServiceManager } from "#src/program/service_manager.ts";
import type { Job } from "#src/protocol.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import type { StateReader, Transport } from "#src/transport.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";
import { ShareFolder } from "#tests/support/sites/share_folder.ts";

const UNIT = await Bun.file(`${import.meta.dir}/../../../systemd/gpu-command-service.service`).text();
const WATCHDOG_MS = Number(/^WatchdogSec=(\d+)$/m.exec(UNIT)?.[1]) * 1000;

/** Records the notifications. */
class Recorder implements ServiceManager {
  readonly said: string[] = [];
  fed = 0;
  ready(): void {
    if (!this.said.includes("ready")) this.said.push("ready");
  }
  status(text: string): void {
    if (this.state !== text) this.said.push(text);
  }
  alive(): void {
    this.fed += 1;
  }
  stopping(): void {}

  get state(): string | undefined {
    return this.said.findLast((text) => text !== "ready");
  }
}

let site: MemorySite;
let service: Recorder;
/** Calls that hang wait for this; it ends with the test. */
let hang: PromiseWithResolvers<void>;
beforeEach(() => {
  site = new MemorySite();
  service = new Recorder();
  hang = Promise.withResolvers();
});
afterEach(async () => {
  hang.resolve();
  await site.close();
});

const CALLS = ["connect", "readState", "readStates", "publishState", "renewState"] as const;

/** A transport of the site that awaits `before` in each of those calls. */
function transportWith(before: (call: (typeof CALLS)[number]) => Promise<void> | undefined): Transport {
  const transport = site.store.open();
  return new Proxy(transport, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      if (name === "openStates") return () => readerWith(target.openStates(), before);
      const call = CALLS.find((candidate) => candidate === name);
      if (call === undefined) return member.bind(target);
      return async (...args: unknown[]): Promise<unknown> => {
        await before(call);
        return await Reflect.apply(member, target, args);
      };
    },
  });
}

function readerWith(reader: StateReader, before: (call: "readStates") => Promise<void> | undefined): StateReader {
  return {
    read: async (changed) => {
      await before("readStates");
      return await reader.read(changed);
    },
  };
}

/** How often the watchdog is fed in this time. */
async function fedIn(durationMs: number): Promise<number> {
  const before = service.fed;
  await site.clock.advance(durationMs);
  return service.fed - before;
}

describe("the agent's watchdog", () => {
  test("is fed each time that all loops have completed a pass", async () => {
    await site.start("gpu-1", { service });
    expect(await fedIn(60_000)).toBeGreaterThanOrEqual(11);
  });

  test("is not fed while a call hangs that the transport does not end", async () => {
    let hangs = false;
    const transport = transportWith((call) => (hangs && call.startsWith("readState") ? hang.promise : undefined));
    await site.start("gpu-1", { service, transport });
    expect(await fedIn(10_000)).toBeGreaterThan(0);
    hangs = true;
    await site.clock.advance(5_000);
    expect(await fedIn(WATCHDOG_MS)).toBe(0);
  });

  test("is not fed while a publication hangs", async () => {
    let hangs = false;
    const transport = transportWith((call) => (hangs && call === "renewState" ? hang.promise : undefined));
    await site.start("gpu-1", { service, transport });
    hangs = true;
    await site.clock.advance(5_000);
    expect(await fedIn(WATCHDOG_MS)).toBe(0);
  });

  test("is not fed while the loop that asks Ollama hangs", async () => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { service, ollama });
    ollama.listRunning = async () => {
      await hang.promise;
      return [];
    };
    await site.clock.advance(5_000);
    expect(await fedIn(WATCHDOG_MS)).toBe(0);
  });

  test("is fed while the transport reports that it is unavailable, before and after the start", async () => {
    let failure: CourierError | null = new CourierError("unavailable", "share stalled for 3 s");
    const transport = transportWith(() => (failure === null ? undefined : Promise.reject(failure)));
    await site.start("gpu-1", { service, transport });
    expect(service.said).toEqual(["looking at the share", "waiting for the share: share stalled for 3 s", "ready"]);
    expect(await fedIn(10_000)).toBe(10);
    failure = null;
    await site.clock.advance(1_000);
    expect(service.state).toStartWith("gpu-1 on memory, Ollama 0.32.15");
    failure = new CourierError("unavailable", "share stalled for 9 s");
    expect(await fedIn(WATCHDOG_MS)).toBeGreaterThanOrEqual(23);
    expect(service.state).toBe("waiting for the share: share stalled for 9 s");
  });
});

describe("the agent's watchdog, on a network share", () => {
  test("is fed while the share hangs and the gate is closed", async () => {
    const folder = new ShareFolder();
    let hangs = false;
    const primitives = new Proxy(localPrimitives, {
      get: (calls, name) => {
        const call: unknown = Reflect.get(calls, name);
        if (typeof call !== "function") return call;
        return async (...args: unknown[]): Promise<unknown> => {
          if (hangs) await hang.promise;
          return await Reflect.apply(call, calls, args);
        };
      },
    });
    try {
      const options = { create: "always", watch: "network", clock: site.clock, log: silentLog } as const;
      const transport = new ShareTransport(folder.root, options, { local: localPrimitives, network: primitives });
      const { stop, ended } = await site.start("gpu-1", { service, transport });
      await site.clock.advance(1_000);
      expect(service.state).toMatch(/^gpu-1 on \S+ at \S+/);
      hangs = true;
      // The pass during which the share stalls takes longer, by the time limit of the gate.
      expect(await fedIn(WATCHDOG_MS)).toBeGreaterThanOrEqual(WATCHDOG_MS / 5_000 - 2);
      expect(service.state).toMatch(/^waiting for the share: share stalled for \d+ s$/);
      hangs = false;
      hang.resolve();
      await site.clock.advance(10_000);
      expect(service.state).toMatch(/^gpu-1 on /);
      stop.abort();
      await site.clock.advance(10_000);
      await ended;
    } finally {
      await folder.remove();
    }
  });
});

describe("the agent's readiness", () => {
  test("is notified once its state is published", async () => {
    await site.start("gpu-1", { service });
    expect(service.said[0]).toBe("looking at the share");
    expect(service.said).toContain("ready");
    expect((await site.state("gpu-1")).status).toBe("running");
  });

  test("is notified after 10 s when the first look at the share does not end", async () => {
    await site.start("gpu-1", { service, transport: transportWith(() => hang.promise) });
    await site.clock.advance(9_999);
    expect(service.said).toEqual(["looking at the share"]);
    await site.clock.advance(1);
    expect(service.said).toEqual(["looking at the share", "ready"]);
    expect(await fedIn(WATCHDOG_MS)).toBe(0);
  });

  test("is not notified after a stop", async () => {
    const { stop } = await site.start("gpu-1", {
      service,
      transport: transportWith(() => hang.promise),
    });
    stop.abort();
    await site.clock.advance(10_000);
    expect(service.said).not.toContain("ready");
  });
});

describe("Heartbeat", () => {
  test("passed() feeds the watchdog when all loops have completed a pass, however often one of them does", () => {
    let beats = 0;
    const heartbeat = new Heartbeat(["a", "b"], { alive: () => (beats += 1) });
    for (let round = 0; round < 3; round++) heartbeat.passed("a");
    expect(beats).toBe(0);
    heartbeat.passed("b");
    expect(beats).toBe(1);
    heartbeat.passed("b");
    expect(beats).toBe(1);
    heartbeat.passed("a");
    expect(beats).toBe(2);
  });
});

describe("statusLine()", () => {
  const ollama = { reachable: true, version: "0.32.15", error: null, checked_at: null };
  const how = { status: "running", degraded_reason: null, ollama, jobs: [] as Job[] } as const;
  const line = (changes: object): string => statusLine("gpu-1", "nfs4 at /mnt/shared", { ...how, ...changes });
  const job = (state: string): object => ({ id: "a", kind: "pull", model: "phi4:latest", state });

  test.each([
    [{}, "gpu-1 on nfs4 at /mnt/shared, Ollama 0.32.15, no jobs running"],
    [{ jobs: [job("running")] }, "gpu-1 on nfs4 at /mnt/shared, Ollama 0.32.15, 1 job running"],
    [
      { jobs: [job("verifying"), job("running"), job("queued")] },
      "gpu-1 on nfs4 at /mnt/shared, Ollama 0.32.15, 2 jobs running, 1 queued",
    ],
    [
      { ollama: { ...ollama, reachable: false, error: "it refuses" } },
      "gpu-1 on nfs4 at /mnt/shared, Ollama is not reachable: it refuses, no jobs running",
    ],
    [
      { status: "degraded", degraded_reason: "disk full" },
      "gpu-1 on nfs4 at /mnt/shared, Ollama 0.32.15, no jobs running, degraded: disk full",
    ],
    [{ status: "draining" }, "draining"],
    [{ status: "stopped" }, "stopped"],
  ])("shows %j as %s", (changes, expected) => expect(line(changes)).toBe(expected));
});

test("an idle agent logs nothing at info for an hour", async () => {
  const lines: string[] = [];
  const note = (_: object, message: string): void => void lines.push(message);
  const log: Log = { ...silentLog, error: note, warn: note, info: note };
  await site.start("gpu-1", { log });
  await site.clock.advance(20_000);
  expect(lines.splice(0).toSorted()).toEqual(["Ollama is reachable", "Ready", "Serving the shared inbox"]);
  await site.clock.advance(3_600_000);
  expect(lines).toEqual([]);
});
