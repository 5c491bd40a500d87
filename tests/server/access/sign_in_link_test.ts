// The command that makes a sign-in link, and the options of the console.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { consoleSettings } from "#src/server/access/sessions/flags.ts";
import { signInLink } from "#src/server/access/sessions/link_command.ts";
import { Sessions } from "#src/server/access/sessions/sessions.ts";
import { StoredSessions } from "#src/server/store/sessions.ts";
import type { StorePlace } from "#src/server/store/shared/open.ts";
import { openStore } from "#src/server/store/store.ts";
import { Tokens } from "#src/server/store/tokens.ts";

const BASE = new URL("http://127.0.0.1:8001");

let stateDir = "";
beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "gpu-courier-link-"));
});
afterAll(async () => {
  await rm(stateDir, { recursive: true });
});

function place(): StorePlace {
  return { kind: "sqlite", stateDir, addresses: ["/mnt/shared"], nats: {} };
}

describe("signInLink()", () => {
  test("gives the server that runs a code for a token, behind #, and stores only its hash", async () => {
    const database = openStore(stateDir);
    const tokens = new Tokens(database, systemClock);
    const sessions = new Sessions({ store: new StoredSessions(database), tokens, clock: systemClock });
    tokens.add("demo", "viewer");
    const link = new URL(await signInLink(place(), "demo", BASE));
    expect([link.origin, link.pathname, link.search]).toEqual([BASE.origin, "/", ""]);
    const code = /^#code=(gpuc_code_[\w-]{43})$/.exec(link.hash)?.[1] ?? "";
    expect(JSON.stringify(database.query("SELECT * FROM sign_in_codes").all())).not.toContain(code);
    expect(await sessions.redeem(code)).toMatchObject({ session: expect.stringMatching(/^gpuc_session_/) });
    expect(await sessions.redeem(code)).toMatchObject({ code: "unauthenticated" });
    const dead = new URL(await signInLink(place(), "demo", BASE)).hash.replace("#code=", "");
    tokens.revoke("demo");
    expect(await sessions.redeem(dead)).toMatchObject({ code: "unauthenticated" });
    database.close();
  });

  test("keeps the path that a proxy serves the console under", async () => {
    const database = openStore(stateDir);
    new Tokens(database, systemClock).add("site", "viewer");
    database.close();
    expect(await signInLink(place(), "site", new URL("https://example.org/gpu/"))).toStartWith(
      "https://example.org/gpu/#code=",
    );
  });

  test("needs a token of that name", async () => {
    const failure = await signInLink(place(), "nobody", BASE).catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: 'No token is named "nobody"' });
  });
});

test("consoleSettings() refuses its own pages among those of other origins", () => {
  const options = { console: "on", manageTokens: false, publicUrl: new URL("https://gpu.example.org/") } as const;
  expect(consoleSettings(options)).toEqual({
    console: true,
    publicUrl: options.publicUrl,
    trustedProxies: [],
    managesTokens: false,
  });
  expect(() => consoleSettings({ ...options, corsOrigin: ["https://gpu.example.org"] })).toThrow("own pages");
});
