// src/transport/share for a user without all rights: root has them, so these tests run a process of another user.
import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Transport } from "#src/transport.ts";
import { OpenShares, type ShareFolder } from "#tests/support/sites/share_folder.ts";
import { FAST } from "#tests/transport/conformance/addresses.ts";

const ROOT_USER = process.getuid?.() === 0;

/** The owner is denied by the owner's bits, another user by those of a foreign group. */
const HINT = ROOT_USER
  ? /^Let group (\d+) in: sudo chgrp -R \1 (\/\S+) && sudo chmod -R g\+rwX \2 && sudo chmod g\+s \2$/
  : /^See Permissions in docs\/operations\.md$/;

const opened = new OpenShares();
afterEach(async () => {
  await opened.close();
});

async function connected(folder: ShareFolder): Promise<Transport> {
  const handle = folder.handle();
  opened.keep(handle);
  await handle.connect();
  return handle;
}

describe("an ordinary user", () => {
  /** The findings of tests/support/sites/share_as_user.ts on this share. */
  async function seenByUser(root: string): Promise<Record<string, unknown>> {
    chmodSync(dirname(root), 0o755);
    const script = join(import.meta.dir, "../../../support/sites/share_as_user.ts");
    const user = Bun.spawn([process.execPath, script, root], { stdout: "pipe", stderr: "inherit" });
    const seen: Record<string, unknown> = JSON.parse(await new Response(user.stdout).text());
    return seen;
  }

  test("gets the folder's owner, its mode and a hint when it may only read", async () => {
    const folder = opened.folder();
    const transport = await connected(folder);
    await transport.send("shared", "list-1", "{}", FAST);
    const [commands, status] = [join(folder.root, "gpu_commands"), join(folder.root, "gpu_status")];
    writeFileSync(join(commands, "list-2.json"), "{}");
    chmodSync(join(commands, "list-2.json"), 0);
    chmodSync(join(commands, "list-1.json"), ROOT_USER ? 0o644 : 0o444);
    for (const path of [commands, status, join(commands, ".tmp"), join(status, ".tmp")]) {
      chmodSync(path, ROOT_USER ? 0o755 : 0o555);
    }
    const seen = await seenByUser(folder.root);
    for (const path of [commands, status]) chmodSync(path, 0o755);
    expect(seen["connected"]).toBeNull();
    expect(seen["description"]).toEndWith("shared (read-only: by this machine's clock)");
    expect(seen["deliveries"]).toMatchObject([
      { id: "list-1", content: { text: "{}" } },
      {
        id: "list-2",
        content: { refused: expect.stringMatching(/^is not readable by this user: owned by \d+:\d+, mode 0000$/) },
      },
    ]);
    for (const [check, subject] of [
      ["folder", "gpu_commands"],
      ["folder", "gpu_status/.tmp"],
      ["create", null],
    ]) {
      const message = expect.stringMatching(
        /permission denied for uid \d+, gid \d+: \/\S+ is owned by \d+:\d+, mode 0/,
      );
      const hint = expect.stringMatching(HINT);
      expect(seen["checks"]).toContainEqual({ check, subject, result: "failed", message, hint });
    }
    for (const [action, path] of Object.entries({ send: commands, publishState: status, openReplies: status })) {
      expect(seen[action]).toMatchObject({ code: "forbidden" });
      expect(JSON.stringify(seen[action])).toContain(path);
      expect(JSON.stringify(seen[action])).toMatch(
        /permission denied for uid \d+, gid \d+: \/\S+ is owned by \d+:\d+, mode 0/,
      );
      expect(seen[action]).toMatchObject({ hint: expect.stringMatching(HINT) });
    }
  });

  test("cannot connect, with the reason, when it cannot list the share", async () => {
    const folder = opened.folder();
    await connected(folder);
    chmodSync(folder.root, ROOT_USER ? 0o700 : 0);
    const { connected: failure, checks } = await seenByUser(folder.root);
    chmodSync(folder.root, 0o755);
    expect(checks).toMatchObject([{ check: "mount", result: "failed" }]);
    expect(JSON.stringify(checks)).toContain("permission denied for uid");
    expect(failure).toMatchObject({ code: "unavailable" });
    expect(JSON.stringify(failure)).toContain("permission denied for uid");
  });
});
