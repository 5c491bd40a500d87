// Signed commands on the agent as a whole, on the memory transport: what runs in each mode, and what is refused.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { judge } from "#src/agent/commands/judge.ts";
import type { Verbs } from "#src/agent/commands/verbs.ts";
import { silentLog } from "#src/base/log.ts";
import { publicLine } from "#src/trust/keys.ts";
import type { SignatureMode } from "#src/trust/requirement.ts";
import { signDocument } from "#src/trust/signature.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { FailingDisk } from "#tests/support/disk/failing_disk.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";
import { testKey } from "#tests/trust/test_key.ts";

const [SERVER, ALICE, STRANGER] = [testKey(1), testKey(2), testKey(3)];
const HOUR_MS = 3_600_000;

let site: MemorySite;
let ollama: ScriptedOllama;
let file: string;
beforeEach(async () => {
  site = new MemorySite();
  ollama = new ScriptedOllama();
  file = join(site.stateDir(), "trusted_keys");
  writeFileSync(file, `${publicLine(SERVER, "server@platform")}\n`);
  await site.listen({ replyTo: "tester" });
  await site.listen("shared");
});
afterEach(async () => await site.close());

async function start(mode: SignatureMode, options: Parameters<MemorySite["start"]>[1] = {}) {
  return await site.start("gpu-1", { ollama, requireSignatures: mode, trustedKeys: file, ...options });
}

/** The text of a delete of phi4 on gpu-1, with these fields. */
function deletion(id: string, fields: object = {}): string {
  return JSON.stringify({
    version: 2,
    command: "delete_model",
    command_id: id,
    timestamp: "2026-01-02T03:04:05Z",
    agent: "gpu-1",
    reply_to: "tester",
    ttl_ms: 30_000,
    expires_at: Math.round(site.clock.now()) + 30_000,
    model_name: "phi4",
    ...fields,
  });
}

/** Puts a file into the inbox, and lets it be judged. */
async function put(id: string, text: string, agent = "gpu-1"): Promise<string> {
  site.replies.delete(id);
  await site.platform.send({ agent }, id, text, { durable: true });
  await settle();
  const { success, code } = site.replies.get(id) ?? {};
  return success === true ? "done" : (code ?? "no answer");
}

async function putSigned(id: string, fields: object = {}, key = SERVER): Promise<string> {
  return await put(id, signDocument("command", deletion(id, fields), key));
}

describe("a changing command where signatures are required", () => {
  test("runs when a trusted key signed it, and the log names the key", async () => {
    const logged: object[] = [];
    const log = { ...silentLog, info: (fields: object, message: string) => logged.push({ ...fields, message }) };
    await start("changing", { log });
    expect(await putSigned("id-1")).toBe("done");
    expect(ollama.calls).toEqual(["delete phi4:latest"]);
    expect(logged).toContainEqual(
      expect.objectContaining({ id: "id-1", command: "delete_model", model: "phi4:latest", key: SERVER.id }),
    );
  });

  const signed = (id: string): string => signDocument("command", deletion(id), SERVER);
  test.each([
    ["without a signature", "forbidden", deletion],
    ["for another agent", "unauthenticated", (id: string) => signed(id).replace("gpu-1", "gpu-2")],
    ["with another model", "unauthenticated", (id: string) => signed(id).replace("phi4", "phi3")],
    [
      "with a field before the others",
      "unauthenticated",
      (id: string) => signed(id).replace("{", '{"model_name":"x",'),
    ],
    ["with a field after the signature", "forbidden", (id: string) => signed(id).replace(/\}$/, ',"model_name":"x"}')],
    ["signed by an unknown key", "unauthenticated", (id: string) => signDocument("command", deletion(id), STRANGER)],
    [
      "signed by another key under a trusted one's name",
      "unauthenticated",
      (id: string) => signDocument("command", deletion(id), STRANGER).replace(STRANGER.id, SERVER.id),
    ],
    ["that has no end", "invalid", (id: string) => at(id, { expires_at: undefined })],
    ["signed for another agent", "invalid", (id: string) => at(id, { agent: "gpu-2" })],
  ])("is refused %s (%s), and nothing is recorded or run", async (_, code, text) => {
    const { ledger } = await start("changing");
    expect(await put("id-1", text("id-1"))).toBe(code);
    expect([ollama.calls, ledger.read("id-1"), site.lying({ agent: "gpu-1" })]).toEqual([[], null, []]);
  });

  test.each([
    ["that has expired", "deadline_exceeded", () => ({ expires_at: site.clock.now() })],
    ["that ends in more than 24 h", "invalid", () => ({ expires_at: site.clock.now() + 25 * HOUR_MS })],
  ])("is refused %s (%s), once it is noted and removed", async (_, code, fields) => {
    const { ledger, transport } = await start("changing");
    const lay: (readonly string[])[] = [];
    const respond = transport.respond.bind(transport);
    transport.respond = async (...response) => {
      lay.push(site.lying({ agent: "gpu-1" }));
      return await respond(...response);
    };
    expect(await put("id-1", at("id-1", fields()))).toBe(code);
    expect([lay, ollama.calls]).toEqual([[[]], []]);
    expect(JSON.parse(ledger.read("id-1")?.response ?? "null")).toMatchObject({ success: false, code });
  });

  function at(id: string, fields: object): string {
    return signDocument("command", deletion(id, fields), SERVER);
  }

  test("is not run by another agent whose inbox it was copied to", async () => {
    await start("changing");
    const other = new ScriptedOllama();
    await site.start("gpu-2", { ollama: other, requireSignatures: "changing", trustedKeys: file });
    const text = signed("id-1");
    expect([await put("id-1", text), await put("id-1", text, "gpu-2")]).toEqual(["done", "invalid"]);
    expect(other.calls).toEqual([]);
  });

  test("is not run by a key that may use other verbs only, or whose last day is over", async () => {
    const day = new Date(site.clock.now() - 24 * HOUR_MS).toISOString().slice(0, 10);
    const today = new Date(site.clock.now()).toISOString().slice(0, 10);
    const lines = (bob: string): string =>
      `${publicLine(SERVER, "server")} verbs=pull_model,ping\n${publicLine(ALICE, "alice")} not-after=${bob}\n`;
    writeFileSync(file, lines(day));
    await start("changing");
    expect([await putSigned("id-1"), await putSigned("id-2", {}, ALICE)]).toEqual(["forbidden", "forbidden"]);
    expect(ollama.calls).toEqual([]);
    writeFileSync(file, lines(today));
    expect(await putSigned("id-3", {}, ALICE)).toBe("done");
  });

  test("reaches a verb only as what verify() returned, which the compiler checks", () => {
    const content = { text: deletion("id-1") };
    const delivery = { inbox: { agent: "gpu-1" }, id: "id-1", key: "id-1~0", content, sentAtMs: 0 };
    const judged = judge(delivery, { agent: "gpu-1", listTtlMs: 1, changeTtlMs: 1 });
    if ("error" in judged) throw judged.error;
    // @ts-expect-error: it was accepted, but not verified
    const command: Parameters<Verbs["run"]>[0] = judged;
    expect(Object.getOwnPropertySymbols(command)).toEqual([]);
  });

  test("is answered with unknown outcome when it began before a crash, and before signatures were required", async () => {
    const dir = site.stateDir();
    const first = await start("off", { dir });
    ollama.trouble = new Promise(() => undefined);
    expect(await put("id-1", deletion("id-1"))).toBe("no answer");
    await site.kill(first);
    ollama.trouble = Promise.resolve();
    await start("changing", { dir });
    await site.clock.advance(1000);
    expect(site.replies.get("id-1")?.code).toBe("unavailable");
    expect([ollama.calls, site.lying({ agent: "gpu-1" })]).toEqual([["delete phi4:latest"], []]);
  });

  test("is judged by the keys as they are now", async () => {
    await start("changing");
    writeFileSync(file, `${publicLine(ALICE, "alice")} # the server's is revoked\n`);
    expect([await putSigned("id-1"), await putSigned("id-2", {}, ALICE)]).toEqual(["unauthenticated", "done"]);
  });

  test("is not run once its key was removed while it waited for its turn", async () => {
    await start("changing");
    const running = Promise.withResolvers<void>();
    ollama.trouble = running.promise;
    expect([await putSigned("id-1"), await putSigned("id-2")]).toEqual(["no answer", "no answer"]);
    writeFileSync(file, `${publicLine(ALICE, "alice")}\n`);
    running.resolve();
    await settle();
    expect(site.replies.get("id-1")).toMatchObject({ success: true });
    expect(site.replies.get("id-2")).toMatchObject({ code: "unauthenticated" });
    expect(ollama.calls).toEqual(["delete phi4:latest"]);
  });

  test("keeps its place in the order when somebody held it back", async () => {
    await start("changing");
    const lasting = { ttl_ms: 600_000, expires_at: Math.round(site.clock.now()) + 600_000 };
    const held = signDocument("command", deletion("id-1", lasting), SERVER);
    await site.clock.advance(60_000);
    ollama.models = [];
    expect(await putSigned("id-2", { command: "pull_model" })).toBe("done");
    await site.clock.advance(60_000);
    expect(ollama.models.map(({ name }) => name)).toEqual(["phi4:latest"]);
    await put("id-1", held);
    expect(ollama.models.map(({ name }) => name)).toEqual(["phi4:latest"]);
  });

  test("is not judged by the time of its file", async () => {
    await start("changing");
    const text = signDocument("command", deletion("id-1"), SERVER);
    await site.clock.advance(29_000);
    expect(await put("id-1", text)).toBe("done");
    const late = signDocument("command", deletion("id-2"), SERVER);
    await site.clock.advance(30_000);
    expect(await put("id-2", late)).toBe("deadline_exceeded");
  });
});

describe("a signed command that is put there again", () => {
  test("is answered as before and does not run again", async () => {
    await start("changing");
    const text = signDocument("command", deletion("id-1"), SERVER);
    expect([await put("id-1", text), await put("id-1", text)]).toEqual(["done", "done"]);
    expect(ollama.calls.length).toBe(1);
  });

  test("does not run when its key was refused this verb, and may use it now", async () => {
    const line = publicLine(SERVER, "server");
    const lasting = { ttl_ms: 600_000, expires_at: site.clock.now() + 600_000 };
    const text = signDocument("command", deletion("id-1", lasting), SERVER);
    writeFileSync(file, `${line} verbs=ping\n`);
    await start("changing");
    expect(await put("id-1", text)).toBe("forbidden");
    writeFileSync(file, `${line}\n`);
    expect([await put("id-1", text), await putSigned("id-2")]).toEqual(["forbidden", "done"]);
    expect(ollama.calls).toEqual(["delete phi4:latest"]);
  });

  test("does not run when it ended too far ahead before", async () => {
    await start("changing");
    const text = signDocument("command", deletion("id-1", { expires_at: site.clock.now() + 25 * HOUR_MS }), SERVER);
    expect(await put("id-1", text)).toBe("invalid");
    await site.clock.advance(2 * HOUR_MS);
    expect([await put("id-1", text), ollama.calls]).toEqual(["invalid", []]);
  });

  test("does not run when the disk of the ledger was full before", async () => {
    const disk = new FailingDisk();
    const { ledger } = await start("changing", { openDatabase: disk.open });
    disk.fails = "SQLITE_FULL";
    const lasting = { ttl_ms: 600_000, expires_at: site.clock.now() + 600_000 };
    const text = signDocument("command", deletion("id-1", lasting), SERVER);
    expect(await put("id-1", text)).toBe("exhausted");
    disk.fails = null;
    await site.clock.advance(6_000);
    expect([ledger.trouble, await put("id-1", text), await putSigned("id-2")]).toEqual([null, "exhausted", "done"]);
    expect(ollama.calls).toEqual(["delete phi4:latest"]);
  });

  test("does not run when the ledger was lost in between, whatever the time of its file", async () => {
    const dir = site.stateDir();
    const first = await start("changing", { dir });
    const text = signDocument(
      "command",
      deletion("id-1", { ttl_ms: 600_000, expires_at: site.clock.now() + 600_000 }),
      SERVER,
    );
    expect(await put("id-1", text)).toBe("done");
    first.stop.abort();
    await site.clock.advance(10_000);
    await first.ended;
    first.ledger.close();
    rmSync(join(dir, "ledger.db"));
    await site.start("gpu-1", { ollama, requireSignatures: "changing", trustedKeys: file, dir, isFirst: false });
    expect(await put("id-1", text)).toBe("unavailable");
    expect(ollama.calls).toEqual(["delete phi4:latest"]);
    expect(await putSigned("id-2")).not.toBe("unavailable");
  });
});

describe("a command with the id of one that runs", () => {
  test.each([
    ["without a signature", (): string => deletion("id-1")],
    ["by a key that may not use the verb", (): string => signDocument("command", deletion("id-1"), ALICE)],
  ])("is refused for what it is (%s), and the other one keeps its response", async (_, text) => {
    writeFileSync(file, `${publicLine(SERVER, "server")}\n${publicLine(ALICE, "alice")} verbs=ping\n`);
    const { ledger } = await start("changing");
    const running = Promise.withResolvers<void>();
    ollama.trouble = running.promise;
    expect(await putSigned("id-1")).toBe("no answer");
    expect(await put("id-1", text())).toBe("forbidden");
    running.resolve();
    await settle();
    expect(JSON.parse(ledger.read("id-1")?.response ?? "null")).toMatchObject({ success: true });
  });
});

describe("modes", () => {
  const version1 = async (command: string): Promise<string> => {
    const id = `${command}_1`;
    await site.send("shared", id, { command, command_id: id, model_name: "phi4" });
    await site.clock.advance(6000);
    const reply = site.replies.get(id);
    const left = site.lying("shared").includes(id) ? "stays" : "is removed";
    return `${reply === undefined ? "no answer" : (reply.error ?? "done")}; ${left}`;
  };
  const CHANGING_ONLY = "gpu-1 runs commands that change anything only if they are signed";
  const ALL = "gpu-1 runs commands only if they are signed";

  test.each([
    ["off", ["done; stays", "done; is removed", "done", "done"]],
    ["warn", ["done; stays", "done; is removed", "done", "done"]],
    ["changing", ["done; stays", `${CHANGING_ONLY}; is removed`, "done", "forbidden"]],
    ["all", [`${ALL}; stays`, `${ALL}; is removed`, "forbidden", "forbidden"]],
  ] as const)("unsigned commands in mode %s", async (mode, outcomes) => {
    await start(mode);
    await site.clock.advance(6000);
    const seen = [
      await version1("list_models"),
      await version1("delete_model"),
      await put("id-1", deletion("id-1", { command: "ping" })),
      await put("id-2", deletion("id-2", { command: "copy_model", arguments: { destination: "x" } })),
    ];
    expect(seen).toEqual([...outcomes]);
  });

  test("off looks at no signature, and needs no keys", async () => {
    await start("off", { trustedKeys: null });
    expect(await put("id-1", signDocument("command", deletion("id-1"), STRANGER).replace("2026", "2027"))).toBe("done");
    expect((await site.state("gpu-1")).requires_signatures).toBeUndefined();
  });

  test("warn logs what changing would refuse, and refuses only what a known key did not sign", async () => {
    const warned: unknown[] = [];
    const log = {
      ...silentLog,
      warn: (fields: object) => warned.push("command" in fields ? Object.values(fields)[0] : ""),
    };
    await start("warn", { log });
    expect(await put("id-1", deletion("id-1", { command: "unload_model" }))).toBe("done");
    expect(await putSigned("id-2", { command: "unload_model" }, STRANGER)).toBe("done");
    expect(await putSigned("id-3", { command: "unload_model" })).toBe("done");
    const broken = signDocument("command", deletion("id-4"), SERVER).replace("phi4", "phi3");
    expect(await put("id-4", broken)).toBe("unauthenticated");
    expect(warned.filter((id) => id !== "")).toEqual(["id-1", "id-2"]);
  });

  test("the state names the mode, and the last 20 refused commands", async () => {
    await start("changing");
    for (let i = 0; i < 25; i++) await put(`id-${i}`, deletion(`id-${i}`));
    await site.clock.advance(6000);
    const { requires_signatures, refused = [] } = await site.state("gpu-1");
    expect([requires_signatures, refused.length]).toEqual(["changing", 20]);
    expect(refused.at(-1)).toMatchObject({
      command_id: "id-24",
      command: "delete_model",
      model: "phi4:latest",
      code: "forbidden",
      error: CHANGING_ONLY,
    });
  });

  test("reading goes on under changing while the trusted keys cannot be used, and the state shows why", async () => {
    await start("changing");
    writeFileSync(file, "");
    await site.clock.advance(6000);
    const { status, reading_only, degraded_reason } = await site.state("gpu-1");
    expect([status, reading_only]).toEqual(["degraded", true]);
    expect(degraded_reason).toContain(`Cannot use the trusted keys in ${file}: it has no key`);
    expect([await putSigned("id-1"), await put("id-2", deletion("id-2"))]).toEqual(["unavailable", "forbidden"]);
    expect(await put("id-3", deletion("id-3", { command: "ping" }))).toBe("done");
    writeFileSync(file, `${publicLine(SERVER, "server@platform")}\n`);
    await site.clock.advance(6000);
    expect((await site.state("gpu-1")).status).toBe("running");
    expect(await putSigned("id-4")).toBe("done");
  });
});
