// Any sequence of steps ends the same on a share as on memory.
import { test } from "bun:test";
import { ShareFolder } from "#tests/support/sites/share_folder.ts";
import { expectLikeMemory } from "#tests/transport/conformance/property.ts";

test.each(["local", "network"] as const)(
  "a share watched as %s ends every sequence of steps as memory does",
  async (watch) => {
    const open = () => {
      const folder = new ShareFolder({ watch });
      return { handle: folder.handle(), remove: async () => await folder.remove() };
    };
    await expectLikeMemory({ open, hasSharedInbox: true, runs: watch === "local" ? 40 : 10 });
  },
  30_000,
);
