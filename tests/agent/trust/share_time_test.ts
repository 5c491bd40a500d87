// A share whose clock goes back: by it, signed commands that had expired would be valid again.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkShareTime } from "#src/agent/trust/check.ts";
import { ShareTimeFile } from "#src/agent/trust/share_time_file.ts";
import { main } from "#src/agent.ts";
import { isoTime } from "#src/base/clock.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { publicLine } from "#src/trust/keys.ts";
import type { SignatureMode } from "#src/trust/requirement.ts";
import { signDocument } from "#src/trust/signature.ts";
import { OffsetClock } from "#tests/support/clocks/offset_clock.ts";
import { MemorySite, type RunningAgent, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";
import { testKey } from "#tests/trust/test_key.ts";

const SERVER = testKey(1);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const ADDRESS = "/mnt/shared";

/** A site whose share has a clock of its own. */
class ClockedSite extends MemorySite {
  readonly shareClock = new OffsetClock(0, this.clock);
  override readonly store = new MemoryStore(this.shareClock);
  override readonly platform = this.store.open(this.clock);
}

let site: ClockedSite;
let dir: string;
let ollama: ScriptedOllama;
let count = 0;
beforeEach(async () => {
  site = new ClockedSite();
  dir = site.stateDir();
  ollama = new ScriptedOllama();
  writeFileSync(join(dir, "trusted_keys"), `${publicLine(SERVER, "server@platform")}\n`);
  await site.listen({ replyTo: "tester" });
});
afterEach(async () => await site.close());

/** Starts an agent that has looked at the share's clock. */
async function start(file: ShareTimeFile = new ShareTimeFile(dir, ADDRESS), mode: SignatureMode = "changing") {
  const agent = await site.start("gpu-1", {
    dir,
    ollama,
    transport: site.store.open(site.clock),
    requireSignatures: mode,
    trustedKeys: join(dir, "trusted_keys"),
    shareTimeFile: file,
  });
  await site.clock.advance(6_000);
  return agent;
}

async function stop({ stop: stopping, ended, ledger }: RunningAgent): Promise<void> {
  stopping.abort();
  await site.clock.advance(10_000);
  await ended;
  ledger.close();
}

/** A command that ends half a minute later, by the share's clock. */
function signed(id: string, verb = "unload_model"): string {
  const endsAtMs = Math.round(site.shareClock.now()) + 30_000;
  const command = { version: 2, command: verb, command_id: id, agent: "gpu-1", reply_to: "tester", model_name: "phi4" };
  const times = { timestamp: "2026-01-02T03:04:05Z", ttl_ms: 30_000, expires_at: endsAtMs };
  return signDocument("command", JSON.stringify({ ...command, ...times }), SERVER);
}

/** Sends a command that is in time. @returns `done`, or the code of the refusal */
async function outcome(verb?: string, id = `id-${(count += 1)}`, text = signed(id, verb)): Promise<string> {
  site.replies.delete(id);
  await site.platform.send({ agent: "gpu-1" }, id, text, { durable: true });
  await site.clock.advance(1_000);
  const { success, code } = site.replies.get(id) ?? {};
  return success === true ? "done" : (code ?? "no answer");
}

describe("a share whose clock went back", () => {
  test("by 9 minutes is served as before", async () => {
    await start();
    site.shareClock.offsetMs = -9 * MINUTE_MS;
    expect([await outcome(), (await site.state("gpu-1")).status]).toEqual(["done", "running"]);
  });

  test("by 11 minutes changes nothing, is read, and the state names the deed", async () => {
    await start();
    const latest = isoTime(site.shareClock.now());
    site.shareClock.offsetMs = -11 * MINUTE_MS;
    const late = signed("late");
    expect([await outcome(), await outcome("show_model"), await outcome("ping")]).toEqual([
      "unavailable",
      "done",
      "done",
    ]);
    expect(await outcome(undefined, "late", late)).toBe("unavailable");
    await site.clock.advance(6_000);
    const { status, reading_only, degraded_reason } = await site.state("gpu-1");
    expect([status, reading_only]).toEqual(["degraded", true]);
    expect(degraded_reason).toContain(`behind ${latest.slice(0, 18)}`);
    expect(degraded_reason).toContain("accept it on gpu-1 with: gpu-agent accept-clock");

    site.shareClock.offsetMs = 0;
    await site.clock.advance(6_000);
    expect([await outcome(), (await site.state("gpu-1")).status]).toEqual(["done", "running"]);
    // It was refused for good.
    site.shareClock.offsetMs = -9 * MINUTE_MS;
    expect(await outcome(undefined, "late", late)).toBe("unavailable");
    expect(ollama.calls).toEqual(["unload phi4:latest"]);
  });

  test("runs no command a second time that had expired, though its ledger entry is gone", async () => {
    await start();
    const text = signed("once");
    expect(await outcome(undefined, "once", text)).toBe("done");
    for (let hour = 0; hour < 52; hour++) await site.clock.leap(HOUR_MS);
    await site.clock.advance(6_000);
    site.shareClock.offsetMs = -52 * HOUR_MS - 20_000;
    expect(await outcome(undefined, "once", text)).toBe("unavailable");
    expect(ollama.calls).toEqual(["unload phi4:latest"]);
  });

  test.each(["off", "warn"] as const)("is not looked at in mode %s, where no command must be signed", async (mode) => {
    await start(new ShareTimeFile(dir, ADDRESS), mode);
    site.shareClock.offsetMs = -HOUR_MS;
    expect(await outcome()).toBe("done");
    expect(readdirSync(dir).filter((name) => name.startsWith("share-time-"))).toEqual([]);
  });

  test("is noticed after a restart", async () => {
    await stop(await start());
    site.shareClock.offsetMs = -HOUR_MS;
    const again = await start();
    expect(await outcome()).toBe("unavailable");
    await stop(again);
    // Another share has a clock of its own.
    await start(new ShareTimeFile(dir, "/mnt/other"));
    expect(await outcome()).toBe("done");
  });
});

describe("the latest time of a share", () => {
  /** An agent on a share that was 3 hours ahead and is right now. */
  async function startAhead(): Promise<RunningAgent> {
    site.shareClock.offsetMs = 3 * HOUR_MS;
    const agent = await start();
    site.shareClock.offsetMs = 0;
    expect(await outcome()).toBe("unavailable");
    return agent;
  }

  test("is lowered once the clocks of share and machine have agreed for 5 minutes", async () => {
    await startAhead();
    await site.clock.advance(4 * MINUTE_MS + 45_000);
    expect(await outcome()).toBe("unavailable");
    await site.clock.advance(20_000);
    expect([await outcome(), (await site.state("gpu-1")).status]).toEqual(["done", "running"]);
  });

  test("stays while they disagree, and one disagreement begins the 5 minutes again", async () => {
    await startAhead();
    site.shareClock.offsetMs = -11 * MINUTE_MS;
    await site.clock.advance(HOUR_MS);
    site.shareClock.offsetMs = 0;
    await site.clock.advance(4 * MINUTE_MS);
    site.shareClock.offsetMs = -11 * MINUTE_MS;
    await site.clock.advance(5_000);
    site.shareClock.offsetMs = 0;
    await site.clock.advance(4 * MINUTE_MS);
    expect(await outcome()).toBe("unavailable");
    await site.clock.advance(MINUTE_MS + 10_000);
    expect(await outcome()).toBe("done");
  });

  test("is not lowered by a machine that slept: it has looked once in that time", async () => {
    await startAhead();
    await site.clock.leap(10 * MINUTE_MS);
    expect(await outcome()).toBe("unavailable");
  });

  test("may be one that no date can show", async () => {
    site.shareClock.offsetMs = 9e15;
    await start();
    site.shareClock.offsetMs = 0;
    expect(await outcome()).toBe("unavailable");
    await site.clock.advance(6 * MINUTE_MS);
    expect(await outcome()).toBe("done");
  });

  test("is written at most once a minute, and when the agent stops", async () => {
    const file = new ShareTimeFile(dir, ADDRESS);
    const written: number[] = [];
    const write = file.write.bind(file);
    file.write = (ms) => {
      written.push(ms);
      write(ms);
    };
    const agent = await start(file);
    await site.clock.advance(10 * MINUTE_MS);
    expect(written.length).toBeWithin(10, 13);
    await site.clock.advance(20_000);
    const before = written.length;
    await stop(agent);
    expect([written.length, file.read()]).toEqual([before + 1, Math.trunc(written.at(-1) ?? 0)]);
  });

  test("is as none when a power cut left an empty file", () => {
    const file = new ShareTimeFile(dir, ADDRESS);
    file.write(1_000);
    const [name = ""] = readdirSync(dir).filter((each) => each.startsWith("share-time-"));
    writeFileSync(join(dir, name), "");
    expect([file.exists(), file.read()]).toEqual([true, null]);
  });
});

describe("gpu-agent accept-clock", () => {
  const accept = async (...args: string[]): Promise<number> =>
    await main(["accept-clock", "--share", ADDRESS, "--state-dir", dir, ...args]);

  test("ends the refusals of a running agent, and of one that is started later", async () => {
    const agent = await start();
    site.shareClock.offsetMs = -HOUR_MS;
    expect(await outcome()).toBe("unavailable");
    expect(await accept()).toBe(0);
    await site.clock.advance(6_000);
    expect(await outcome()).toBe("done");
    await stop(agent);
    site.shareClock.offsetMs = -2 * HOUR_MS;
    expect(await accept()).toBe(0);
    await start();
    expect(await outcome()).toBe("done");
  });

  test("fails when no time of that share is kept there", async () => {
    await start();
    expect(await accept("--share", "/mnt/other")).toBe(66);
  });

  test("is what doctor advises while the share's clock is behind", () => {
    const file = new ShareTimeFile(dir, ADDRESS);
    const nowMs = Date.parse("2026-01-02T03:04:05Z");
    expect(checkShareTime(file, nowMs).result).toBe("ok");
    file.write(nowMs + 9 * MINUTE_MS);
    expect(checkShareTime(file, nowMs).result).toBe("ok");
    file.write(nowMs + 11 * MINUTE_MS);
    expect(checkShareTime(file, nowMs)).toMatchObject({ result: "failed" });
    expect(checkShareTime(file, nowMs).hint).toContain("gpu-agent accept-clock");
  });
});
