// Tokens with limits, and what the release before reads of them.
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { openStore } from "#src/server/store/store.ts";
import { Tokens } from "#src/server/store/tokens.ts";

const NO_LIMITS = { expiresAtMs: null, agents: null, verbs: null };
/** Each alone is enough. */
const LIMITS = [
  { ...NO_LIMITS, expiresAtMs: 4_000_000_000_000 },
  { ...NO_LIMITS, agents: ["gpu-1"] },
  { ...NO_LIMITS, verbs: ["list_models" as const] },
];
/** How releases that do not know limits read the tokens. Never edit it. */
const EARLIER_RELEASE = "SELECT name, role, hash, created_at FROM tokens ORDER BY name";

async function inStateDir(use: (stateDir: string) => void): Promise<void> {
  const stateDir = await mkdtemp(join(tmpdir(), "gpu-courier-tokens-"));
  try {
    use(stateDir);
  } finally {
    await rm(stateDir, { recursive: true });
  }
}

function withTokens<Result>(stateDir: string, use: (tokens: Tokens) => Result): Result {
  const database = openStore(stateDir);
  try {
    return use(new Tokens(database, systemClock));
  } finally {
    database.close();
  }
}

/** The names that the release before knows, as long as it can open the file at all. */
function namesBefore(stateDir: string): string[] {
  const database = new Database(join(stateDir, "server.db"));
  expect(database.query("PRAGMA user_version").get()).toEqual({ user_version: 2 });
  const rows = database.query<{ name: string }, []>(EARLIER_RELEASE).all();
  database.close();
  return rows.map(({ name }) => name);
}

describe("Tokens", () => {
  test.each(LIMITS)("add() with %p makes a token that the release before refuses", async (limits) => {
    await inStateDir((stateDir) => {
      const token = withTokens(stateDir, (tokens) => {
        tokens.add("plain", "viewer");
        return tokens.add("limited", "gp", limits);
      });
      expect(namesBefore(stateDir)).toEqual(["plain"]);
      const accounts = { limits: expect.any(String), audit: expect.any(String) };
      const entry = { name: "limited", role: "gp" as const, created_at: expect.any(String), ...limits, accounts };
      withTokens(stateDir, (tokens) => {
        expect(tokens.find(token)).toEqual(entry);
        expect(tokens.list()).toEqual([entry, expect.objectContaining({ name: "plain", ...NO_LIMITS })]);
      });
    });
  });

  test("the release before, which would take the role mirror for a viewer, does not know such a token", async () => {
    await inStateDir((stateDir) => {
      const token = withTokens(stateDir, (tokens) => tokens.add("box", "mirror"));
      expect(namesBefore(stateDir)).toEqual([]);
      const before = new Database(join(stateDir, "server.db"));
      expect(before.query("SELECT name FROM limited_tokens").all()).toEqual([]);
      before.close();
      withTokens(stateDir, (tokens) => {
        expect(tokens.find(token)).toMatchObject({ name: "box", role: "mirror", ...NO_LIMITS });
        expect(() => tokens.add("box", "gp")).toThrow(expect.objectContaining({ code: "conflict" }));
        tokens.revoke("box");
        expect([tokens.list(), tokens.find(token)]).toEqual([[], undefined]);
      });
    });
  });

  test("add() refuses a name that either table has", async () => {
    await inStateDir((stateDir) =>
      withTokens(stateDir, (tokens) => {
        tokens.add("plain", "gp");
        tokens.add("limited", "gp", LIMITS[1]);
        for (const [name, limits] of [
          ["plain", LIMITS[1]],
          ["limited", NO_LIMITS],
        ] as const)
          expect(() => tokens.add(name, "gp", limits)).toThrow(expect.objectContaining({ code: "conflict" }));
        expect(tokens.list()).toHaveLength(2);
      }),
    );
  });

  test("add() charges what a token adds to the first of the line, and the release before reads it as before", async () => {
    await inStateDir((stateDir) => {
      const names = ["child", "grandchild", "root"];
      withTokens(stateDir, (tokens) => {
        const root = tokens.find(tokens.add("root", "gp"));
        if (root === undefined) throw new Error("no root");
        const child = tokens.find(tokens.add("child", "gp", NO_LIMITS, { ...root, isHeldToLimits: true }));
        if (child === undefined) throw new Error("no child");
        tokens.revoke("root");
        tokens.add("grandchild", "gp", NO_LIMITS, { ...child, isHeldToLimits: true });
        // Another token under the name of one that is gone.
        tokens.add("root", "gp");
        const accounts = tokens.list().map((token) => token.accounts);
        expect(accounts.slice(0, 2)).toEqual([root.accounts, root.accounts]);
        expect(accounts[2]).not.toEqual(root.accounts);
      });
      expect(namesBefore(stateDir)).toEqual(names);
    });
  });

  test("revoke() removes both when the release before added another one with the name", async () => {
    await inStateDir((stateDir) => {
      const limited = withTokens(stateDir, (tokens) => tokens.add("twice", "gp", LIMITS[1]));
      const database = new Database(join(stateDir, "server.db"));
      database
        .query("INSERT OR IGNORE INTO tokens (name, role, hash, created_at) VALUES (?, ?, ?, ?)")
        .run("twice", "gp", Buffer.alloc(32), "2026-01-01T00:00:00.000Z");
      database.close();
      withTokens(stateDir, (tokens) => {
        expect(tokens.list()).toHaveLength(2);
        tokens.revoke("twice");
        expect([tokens.list(), tokens.find(limited)]).toEqual([[], undefined]);
      });
    });
  });

  test("find() throws rather than forget a limit that it cannot read", async () => {
    await inStateDir((stateDir) => {
      const database = openStore(stateDir);
      const tokens = new Tokens(database, systemClock);
      const token = tokens.add("limited", "gp", LIMITS[1]);
      for (const text of ["[]", '["../x"]', "{"]) {
        database.query("UPDATE limited_tokens SET agents = ?").run(text);
        expect(() => tokens.find(token)).toThrow();
      }
      database.close();
    });
  });
});
