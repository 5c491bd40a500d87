// The printed configuration, and somebody who has the credentials of one agent and tries to break out of it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { type BucketName, KEYS } from "#src/transport/nats/layout.ts";
import { until } from "#tests/support/until.ts";
import { ATTACKS, type Attack, learned, requests } from "./breakout/attacks.ts";
import { oneAccount, printed, withoutKeys } from "./breakout/configurations.ts";
import { ADDRESS, ATTACKER, layout, SECRET, VICTIM } from "./breakout/names.ts";
import { BreakoutSite, type Options } from "./breakout/site.ts";

/** Everything that it achieved. */
async function tried(site: BreakoutSite, attack: Attack): Promise<readonly string[]> {
  await site.reset();
  attack.run(site.attacker);
  await site.attacker.flush();
  if (attack.listens !== true) return await achieved(site, attack);
  await site.traffic();
  await site.attacker.flush();
  return learned(attack, site.attacker);
}

async function achieved(site: BreakoutSite, attack: Attack): Promise<readonly string[]> {
  const { changed, heard } = await site.damage();
  return [...learned(attack, site.attacker), ...changed, ...heard];
}

async function succeeds(site: BreakoutSite, attack: Attack): Promise<void> {
  if ((await tried(site, attack)).length > 0) return;
  // An answer may take its time where it comes.
  await until(async () => (await achieved(site, attack)).length > 0, 5000);
}

type Row = readonly [name: string, attack: Attack];

/** For `test.each`. */
function attacks(name: RegExp): readonly Row[] {
  const found = ATTACKS.filter((attack) => name.test(attack.name));
  if (found.length === 0) throw new Error(`No attack is called ${String(name)}`);
  return found.map((attack) => [attack.name, attack]);
}

/** The site of the tests of a describe(). */
function openedSite(options: () => Options): { readonly site: BreakoutSite } {
  let site: BreakoutSite;
  beforeAll(async () => {
    site = await BreakoutSite.open(options());
  });
  afterAll(async () => await site.close());
  return {
    get site() {
      return site;
    },
  };
}

describe("an attacker under the printed configuration", () => {
  const opened = openedSite(printed);
  test.each(attacks(/./))("achieves nothing when it %s", async (_, attack) => {
    expect(await tried(opened.site, attack)).toEqual([]);
  });

  describe("can still", () => {
    test("forge a wake, which carries a command's id and nothing else", async () => {
      const { site } = opened;
      await site.reset();
      site.attacker.publish(layout.getSubject("states", ATTACKER), { reply: layout.wake(VICTIM) });
      expect(await site.damage()).toEqual({ changed: [], heard: [`victim: ${layout.wake(VICTIM)}`] });
    });

    test("learn the sequence of the entry under a key that it guesses", async () => {
      const { site } = opened;
      await site.reset();
      const guess = layout.subject("states", VICTIM);
      requests([
        layout.subject("states", ATTACKER),
        "own",
        {
          "Nats-Expected-Last-Subject-Sequence": "99",
          "Nats-Expected-Last-Subject-Sequence-Subject": guess,
        },
      ])(site.attacker);
      expect(await site.damage()).toEqual({ changed: [], heard: [] });
      expect(site.attacker.received).toMatch(/wrong last sequence: \d+/);
      expect(site.attacker.received).not.toContain(SECRET);
    });

    test("learn one address for replies, with nothing in it", async () => {
      const { site } = opened;
      await site.reset();
      requests([layout.getSubject("responses", KEYS.sender("*"))])(site.attacker);
      expect(await site.damage()).toEqual({ changed: [], heard: [] });
      expect(site.attacker.received).toContain(layout.subject("responses", KEYS.sender(ADDRESS)));
      expect(site.attacker.received).not.toContain(SECRET);
    });
  });
});

describe("the same attacker without permissions, in the account of the buckets", () => {
  const opened = openedSite(() => ({ rollups: true }));
  const stoppable = attacks(/./).filter(([, { isAlwaysStopped }]) => isAlwaysStopped !== true);
  test.each(stoppable)("succeeds when it %s", async (_, attack) => {
    await succeeds(opened.site, attack);
  });
});

describe("what each part of the configuration is for", () => {
  describe("the same permissions in the account of the buckets", () => {
    const opened = openedSite(oneAccount);
    test.each(attacks(/^has (?:its own state|the acknowledgement of its own state) sent to \$KV/))(
      "let an attacker write by answers, who %s",
      async (_, attack) => await succeeds(opened.site, attack),
    );

    test("stop what needs a permission", async () => {
      for (const [, attack] of attacks(/^(?:puts|purges|gets states)/))
        expect(await tried(opened.site, attack)).toEqual([]);
    });
  });

  describe("buckets that allow rollups", () => {
    const opened = openedSite(() => ({ ...printed(), rollups: true }));
    test.each(attacks(/^rolls up/))("let an attacker remove everything when it %s", async (_, attack) => {
      await succeeds(opened.site, attack);
    });
  });

  describe("a direct get that is permitted with a wildcard at its end", () => {
    const opened = openedSite(() => printed((text) => text.replaceAll("*.sender", "*")));
    test.each(attacks(/^gets responses\/>/))("returns others' entries to an attacker when it %s", async (_, attack) => {
      await succeeds(opened.site, attack);
    });
  });

  test("a missing key keeps nats-server from starting", async () => {
    const failure = await BreakoutSite.open(withoutKeys()).catch(String);
    expect(failure).toMatch(/variable reference for 'nkey_(?:server|gpu-1)' .* can not be found/);
  });
});

describe("an agent", () => {
  const opened = openedSite(printed);
  let agent: NatsConnection;
  let server: NatsConnection;
  beforeAll(async () => {
    agent = await opened.site.connect("attacker", ATTACKER);
    server = await opened.site.connect("server");
  });
  beforeEach(async () => await opened.site.reset());
  afterAll(async () => {
    await agent.close();
    await server.close();
  });

  async function put(bucket: BucketName, key: string, text: string, more: MsgHdrs = headers()): Promise<unknown> {
    return (await agent.request(layout.subject(bucket, key), text, { timeout: 5000, headers: more })).json();
  }

  async function get(bucket: BucketName, key: string): Promise<string | null> {
    const answer = await agent.request(layout.getSubject(bucket, key));
    return answer.headers?.code === 404 ? null : answer.string();
  }

  test.each([
    ["states", KEYS.state(ATTACKER)],
    ["responses", KEYS.response(ADDRESS, ATTACKER, "own")],
    ["commands", KEYS.inbox(ATTACKER)],
    ["presence", KEYS.agent(ATTACKER)],
    ["states", KEYS.clock(ATTACKER)],
  ] as const)("writes and reads %s/%s", async (bucket, key) => {
    expect(await put(bucket, key, "mine")).toMatchObject({ stream: layout.stream(bucket) });
    expect(await get(bucket, key)).toBe("mine");
  });

  test("reads its commands, the roster, and whether somebody waits at an address", async () => {
    expect(await get("commands", KEYS.inbox(ATTACKER))).toBe('["own"]');
    expect(await get("commands", KEYS.command(ATTACKER, "own"))).toBe("own command");
    expect(await get("states", KEYS.roster)).toBe("roster");
    expect(await get("responses", KEYS.sender(ADDRESS))).toBe("");
    expect(await get("responses", KEYS.sender("nobody"))).toBeNull();
  });

  test("removes its commands with a marker that has a TTL", async () => {
    const marker = headers();
    marker.set("KV-Operation", "PURGE");
    marker.set("Nats-TTL", "1s");
    const key = KEYS.command(ATTACKER, "own");
    await put("commands", key, "", marker);
    expect(await get("commands", key)).toBe("");
    await until(async () => (await get("commands", key)) === null);
  });

  test("writes its list of commands only if it is as it was read", async () => {
    const stale = headers();
    stale.set("Nats-Expected-Last-Subject-Sequence", "99");
    expect(await put("commands", KEYS.inbox(ATTACKER), "[]", stale)).toMatchObject({ error: { err_code: 10_071 } });
    expect(await get("commands", KEYS.inbox(ATTACKER))).toBe('["own"]');
  });

  test("is woken, and its heartbeats are heard", async () => {
    const heard = {
      wake: server.subscribe(layout.heartbeat("*"), { max: 1 }),
      agent: agent.subscribe(layout.wake(ATTACKER), { max: 1 }),
    };
    await Promise.all([server.flush(), agent.flush()]);
    server.publish(layout.wake(ATTACKER), "id-1");
    agent.publish(layout.heartbeat(ATTACKER), "7");
    for await (const message of heard.agent) expect(message.string()).toBe("id-1");
    for await (const message of heard.wake)
      expect([message.subject, message.string()]).toEqual([layout.heartbeat(ATTACKER), "7"]);
  });
});

describe("an operator", () => {
  const opened = openedSite(printed);

  test("sends, reads, follows and empties, and cannot delete or change a bucket", async () => {
    await opened.site.reset();
    const operator = await opened.site.connect("operator");
    const manager = await jetstreamManager(operator);
    const name = layout.stream("commands");
    await operator.request(layout.subject("commands", KEYS.command(VICTIM, "x")), "command");
    expect((await manager.consumers.add(name, { name: "follower" })).num_pending).toBe(6);
    expect(await manager.streams.purge(name, { filter: layout.subject("commands", `${VICTIM}.*`) })).toMatchObject({
      purged: 2,
    });
    expect((await operator.request(layout.getSubject("states", VICTIM))).string()).toContain("state");
    expect(await manager.streams.delete(name).catch(String)).toContain("Permissions Violation");
    expect(await manager.streams.update(name, { max_msgs: 1 }).catch(String)).toContain("Permissions Violation");
    await operator.close();
  });
});
