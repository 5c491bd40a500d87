// An export as exports(5) makes it by default, where root is nobody: agent, server and legacy backend as root and as users of a
// group. Where one cannot work, what it says is done as printed, and then it works.
import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Check } from "#src/base/check.ts";
import { report } from "#tests/nfs/guest/figures.ts";
import { type Client, NFS_SERVER, run } from "#tests/nfs/guest/machines.ts";
import { VERSIONS, type Version } from "#tests/nfs/guest/scope.ts";
import { NetworkSite } from "#tests/nfs/guest/site.ts";
import { type Finished, type Running, until } from "#tests/process/site/site.ts";

const PHI = { name: "phi4:latest", layers: [200_000] };
/** On every machine but c3, as guest/init says: group gpu, with svc and web. */
const GROUP = 2000;
const TIMEOUT_MS = 60_000;

async function openSite(name: string, version: Version, owner: readonly [number, number], mode: number) {
  const site = await NetworkSite.open(name, version, [], "root_squash");
  chownSync(site.folder, ...owner);
  chmodSync(site.folder, mode);
  for (const client of ["c1", "c2"] as const) await site.mount(client);
  // There is no gpu-server on the legacy backend's machine.
  await site.mount("c3", "lookupcache=pos");
  return { site, ollama: await site.ollama({ catalog: [PHI], installed: [PHI] }) };
}

/** The agent's last message about the share. */
async function complaint(agent: Running): Promise<{ reason: string; hint: string }> {
  const said = (): { reason: string; hint: string }[] => {
    const lines = agent.log.split("\n").filter((line) => line.includes('"level":"warn"'));
    return lines.map((line) => JSON.parse(line));
  };
  const found = await until(() => said().at(-1), "the agent complains", TIMEOUT_MS);
  report(`${found.reason}\n    ${found.hint}`);
  return found;
}

/** What gpuctl says on stderr: the reason, then the hint. */
function failure({ status, stderr }: Finished): { reason: string; hint: string } {
  expect(status).not.toBe(0);
  const [reason = "", hint = ""] = stderr.trim().split("\n");
  report(`${reason}\n    ${hint}`);
  return { reason, hint };
}

/** Runs the commands of a hint as root, which needs no sudo: on the server when the hint names it. */
async function obey(hint: string, client: Client): Promise<void> {
  const command = /: (sudo .*)$/.exec(hint)?.[1] ?? expect.unreachable(`No command in "${hint}"`);
  const where = hint.includes(`, on ${NFS_SERVER}: `) ? "server" : client;
  await run(where, "sh", "-c", command.replaceAll("sudo ", ""));
}

/** Accounts of its own, in which the group's number has no name. */
async function ownAccounts(client: Client): Promise<void> {
  const make =
    "mkdir /run/etc && cp -a /etc/. /run/etc && sed -i /^gpu:/d /run/etc/group && mount --bind /run/etc /etc";
  await run(client, "sh", "-c", make);
}

function owners(site: NetworkSite): string[] {
  const paths = readdirSync(site.folder, { recursive: true, encoding: "utf8" }).map((name) => join(site.folder, name));
  const facts = paths.map((path) => lstatSync(path));
  return [...new Set(facts.map(({ uid, gid, mode }) => `${uid}:${gid} ${(mode & 0o7777).toString(8)}`))].toSorted();
}

async function doctor(
  site: NetworkSite,
  client: Client,
): Promise<{ checks: readonly Check[]; failed: readonly Check[] }> {
  const { checks }: { checks: Check[] } = JSON.parse((await site.gpuctl(client, "doctor", "--json")).stdout);
  return { checks, failed: checks.filter(({ result }) => result === "failed") };
}

// One version: the accounts of c3 can be changed once, and who may do what is the server's to say in either.
describe.each(VERSIONS.slice(-1))("NFSv%s with root_squash", (version) => {
  test.concurrent("a closed share is opened to a group by the hint, and root stays out until its export lets it in", async () => {
    const { site, ollama } = await openSite("group", version, [0, 0], 0o750);
    await using _ = site;
    const agent = site.startAgent("svc@c1", "gpu-1", ollama);
    const closed = await complaint(agent);
    expect(closed.reason).toEndWith(`uid 1001, gid ${GROUP}: ${site.share} is owned by 0:0, mode 0750`);
    expect(closed.hint).toStartWith(`Let group ${GROUP} in, on ${NFS_SERVER}: `);
    await obey(closed.hint, "c1");
    await agent.logged('"Ready"');
    expect(agent.log.split("\n").filter((line) => line.includes('"level":"warn"')).length).toBe(1);
    const server = await site.server("web@c2");
    await until(() => site.state("gpu-1")["models"] !== null, "the agent knows its models", TIMEOUT_MS);
    expect(await server.call("GET", "/api/config/models?fresh=true")).toMatchObject({ status: 200 });
    expect(owners(site).map((each) => each.replace(/^\d+/, ""))).toEqual(
      expect.arrayContaining([`:${GROUP} 2770`, `:${GROUP} 660`]),
    );
    expect(new Set(owners(site)).size).toBeLessThanOrEqual(4);

    await ownAccounts("c3");
    // Its server looks up the groups of a user for itself, as Debian's do, all but the first.
    for (const fixes of [
      "Join its group, then start again: sudo groupadd",
      "Its server looks up all groups but the first for itself (manage-gids). Make it the first",
    ]) {
      const { reason, hint } = failure(await site.gpuctl("guest@c3", "ping"));
      expect(reason).toContain("permission denied for uid 1003, gid 2001: ");
      expect(hint.trim()).toStartWith(fixes);
      await obey(hint, "c3");
    }
    expect(await site.gpuctl("guest@c3", "ping")).toMatchObject({ status: 0, stderr: "" });

    const root = site.startAgent("c3", "gpu-2", ollama, ["--shared-inbox", "off"]);
    const squashed = await complaint(root);
    expect(squashed.reason).toContain("permission denied for root, who is nobody on this file server (root_squash): ");
    expect(squashed.hint).toBe(
      `Run it as a user of group ${GROUP}: in a unit by User=, by hand by sudo -u; or give the export anongid=${GROUP}, on ${NFS_SERVER}, and mount it again`,
    );
    const seen = await doctor(site, "c3");
    expect([...new Set(seen.failed.map(({ hint }) => hint))]).toEqual([squashed.hint]);
    expect(await site.legacyBackend("c3", "list").catch((error: unknown) => String(error))).toContain("EACCES");
    await site.export(`root_squash,anongid=${GROUP}`);
    await site.unmount("c3");
    await site.mount("c3", "lookupcache=pos");
    await root.logged('"Ready"');
    expect(await site.legacyBackend("c3", "list")).toMatchObject([{ reason: "answered", models: [{}] }]);
  }, 300_000);

  test.concurrent("a share of mode 777 that root owns serves root and users alike", async () => {
    const { site, ollama } = await openSite("open", version, [0, 0], 0o777);
    await using _ = site;
    const agent = await site.agent("c1", "gpu-1", ollama);
    await agent.logged("Serving the shared inbox");
    await until(() => site.state("gpu-1")["models"] !== null, "the agent knows its models", TIMEOUT_MS);
    expect(await site.gpuctl("guest@c2", "rm", "phi4", "--agent", "gpu-1")).toMatchObject({ status: 0, stderr: "" });
    expect(await site.legacyBackend("c3", "list")).toMatchObject([{ reason: "answered", models: [] }]);
    const { checks, failed } = await doctor(site, "c2");
    expect(failed).toEqual([]);
    expect(checks.find(({ check }) => check === "create")?.message).toEndWith("; there, 0:0 is 65534:65534");
    expect(agent.log).not.toContain('"level":"warn"');
  }, 300_000);
});
