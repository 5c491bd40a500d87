// src/server/access/login/key_set.ts over HTTP: how long keys are kept, and how often anybody can have them read again.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Login } from "#src/server/access/authenticator.ts";
import { openLogin } from "#src/server/access/login/open.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { ListLog, refusalOf } from "./harness.ts";
import { newSigner, type Signer, signed } from "./tokens.ts";

const [first, second] = [newSigner("ES256", "first"), newSigner("EdDSA", "second")];
const MINUTE_MS = 60_000;

let clock: ManualClock;
let log: ListLog;
let provider: Bun.Server<undefined>;
let answer: () => Response | Promise<Response>;
let reads: number;
let login: Login;

beforeEach(async () => {
  clock = new ManualClock();
  log = new ListLog();
  reads = 0;
  offer(first);
  provider = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async () => {
      reads += 1;
      return await answer();
    },
  });
  const jwtJwks = provider.url.href;
  const options = { jwtJwks, jwtIssuer: "me", jwtAudience: "gpu", authRole: ["gp=admin"] };
  const opened = await openLogin(options, { clock, log });
  if (opened === null) throw new Error("There is no login");
  login = opened;
});
afterEach(async () => await provider.stop(true));

function offer(...signers: readonly Signer[]): void {
  answer = () => Response.json({ keys: signers.map(({ jwk }) => jwk) });
}

function fail(): void {
  answer = () => new Response("down", { status: 500 });
}

/** "none": a token that it signs is let in. */
async function ask(signer: Signer, kid = signer.kid): Promise<string> {
  const exp = Math.floor(clock.now() / 1000) + 600;
  return await refusalOf(login, signed({ sub: "ada", role: "admin", iss: "me", aud: "gpu", exp }, signer, { kid }));
}

describe("the keys at an address", () => {
  test("are read at the first token, and kept for 10 minutes", async () => {
    expect(reads).toBe(0);
    expect(await Promise.all([ask(first), ask(first), ask(first)])).toEqual(["none", "none", "none"]);
    await clock.advance(10 * MINUTE_MS - 1);
    expect([await ask(first), reads]).toEqual(["none", 1]);
    offer(second);
    await clock.advance(1);
    expect([await ask(first), reads]).toEqual(["unauthenticated", 2]);
  });

  test("are read again for an unknown kid, once a minute however many ask", async () => {
    await ask(first);
    offer(first, second);
    expect([await ask(second), reads]).toEqual(["unauthenticated", 1]);
    await clock.advance(MINUTE_MS);
    expect([await ask(second), await ask(first), reads]).toEqual(["none", "none", 2]);
    await clock.advance(MINUTE_MS - 1);
    for (let count = 0; count < 50; count++) expect(await ask(second, `forged-${count}`)).toBe("unauthenticated");
    expect(reads).toBe(2);
    await clock.advance(1);
    await Promise.all(Array.from({ length: 50 }, async (_, count) => await ask(second, `forged-${count}`)));
    expect(reads).toBe(3);
  });

  test("let nobody in while they cannot be read, and are asked for every 5 s at most", async () => {
    fail();
    expect(await Promise.all([ask(first), ask(second)])).toEqual(["unavailable", "unavailable"]);
    expect(log.text).toContain("answers 500, where 200 is expected");
    offer(first);
    await clock.advance(4_999);
    expect([await ask(first), reads]).toEqual(["unavailable", 1]);
    await clock.advance(1);
    expect([await ask(first), reads]).toEqual(["none", 2]);
  });

  test("count for 10 minutes and no longer when the provider goes away", async () => {
    await ask(first);
    fail();
    await clock.advance(10 * MINUTE_MS - 1);
    expect([await ask(first), await ask(second)]).toEqual(["none", "unavailable"]);
    expect(await ask(first)).toBe("none");
    await clock.advance(MINUTE_MS);
    expect(await ask(first)).toBe("unavailable");
  });

  test.each<[string, () => Response]>([
    ["redirects", () => Response.redirect("http://127.0.0.1:1/", 302)],
    ["sends more than 64 kB", () => Response.json({ keys: [first.jwk], more: "x".repeat(64_000) })],
    ["has no usable key", () => Response.json({ keys: [{ kty: "oct", k: "AAAA" }] })],
    ["sends no key set", () => Response.json([first.jwk])],
    ["sends text", () => new Response("<html>")],
  ])("cannot be used when the provider %s", async (_what, wrong) => {
    answer = wrong;
    expect(await ask(first)).toBe("unavailable");
    expect(await failure(login.check())).toMatchObject({ code: "unavailable" });
  });

  test("check() asks no more often than tokens do", async () => {
    await login.check();
    await login.check();
    expect([await ask(first), reads]).toEqual(["none", 1]);
  });
});
