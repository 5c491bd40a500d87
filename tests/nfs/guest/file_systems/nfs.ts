// A folder of the server over NFS: the kernel's server, which guest/init has started, and its clients.

import { type Client, NFS_SERVER, run } from "../machines.ts";
import type { Version } from "../scope.ts";
import type { NetworkExport } from "./exports.ts";

export class NfsExport implements NetworkExport {
  readonly #folder: string;
  readonly #version: Version;
  /** An id of its own makes it a file system of its own: no cache is shared with another export, and no count. */
  readonly #fsid = crypto.randomUUID();
  #isOpen = false;

  constructor(folder: string, version: Version) {
    this.#folder = folder;
    this.#version = version;
  }

  /** Also again with other options. */
  async open(squash: string): Promise<void> {
    const options = `rw,sync,no_subtree_check,${squash},fsid=${this.#fsid}`;
    await run("server", "exportfs", "-o", options, `*:${this.#folder}`);
    this.#isOpen = true;
  }

  async mount(client: Client, point: string, options: string): Promise<void> {
    const all = `vers=${this.#version}${options === "" ? "" : `,${options}`}`;
    await run(client, "mount.nfs", `${NFS_SERVER}:${this.#folder}`, point, "-o", all);
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await run("server", "exportfs", "-u", `*:${this.#folder}`);
  }
}

export async function startNfsd(): Promise<void> {
  await run("server", "rpc.nfsd", "8");
}

/** Clients wait for it. */
export async function stopNfsd(): Promise<void> {
  await run("server", "rpc.nfsd", "0");
}

/** Does it while the server is stopped. Then the server has no file open, and starts with a new id. */
export async function withoutNfsd(action: () => Promise<unknown>): Promise<void> {
  await stopNfsd();
  await action();
  await startNfsd();
}
