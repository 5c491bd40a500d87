// A share in a temporary folder, for tests of its driver: handles on it, and raw access behind their back.
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { openTransport, type TransportOptions } from "#src/transport/open.ts";
import type { Transport } from "#src/transport.ts";
import type { Store } from "#tests/transport/conformance/scenario.ts";

export class ShareFolder implements Store {
  readonly root: string;
  readonly #parent = mkdtempSync(join(tmpdir(), "gpu-courier-share-"));
  readonly #options: TransportOptions;

  constructor(options: Partial<TransportOptions> = {}) {
    this.root = join(this.#parent, "shared");
    mkdirSync(this.root);
    this.#options = { create: "always", watch: "auto", clock: systemClock, log: silentLog, ...options };
  }

  handle(options: Partial<TransportOptions> = {}): Transport {
    return openTransport(this.root, { ...this.#options, ...options });
  }

  /** As an unmounted share: its folder is there no more. */
  async interrupt(): Promise<void> {
    renameSync(this.root, `${this.root}.away`);
  }

  async restore(): Promise<void> {
    renameSync(`${this.root}.away`, this.root);
  }

  async writeState(agent: string, text: string): Promise<void> {
    writeFileSync(this.#statePath(agent), text);
  }

  async removeState(agent: string): Promise<void> {
    rmSync(this.#statePath(agent));
  }

  async age(ms: number): Promise<void> {
    // Deepest first, so that nothing is touched after it was made older.
    for (const name of readdirSync(this.root, { recursive: true, encoding: "utf8" }).toReversed()) {
      const path = join(this.root, name);
      const seconds = (lstatSync(path).mtimeMs - ms) / 1000;
      utimesSync(path, seconds, seconds);
    }
  }

  async remove(): Promise<void> {
    rmSync(this.#parent, { recursive: true, force: true });
  }

  #statePath(agent: string): string {
    return join(this.root, "gpu_status", `${agent}_status.json`);
  }
}

/** The shares of a test file and the handles on them, all closed together. */
export class OpenShares {
  readonly #folders: ShareFolder[] = [];
  readonly #handles: Transport[] = [];

  folder(options?: Partial<TransportOptions>): ShareFolder {
    const folder = new ShareFolder(options);
    this.#folders.push(folder);
    return folder;
  }

  /** Closes this handle too. */
  keep(handle: Transport): void {
    this.#handles.push(handle);
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.splice(0)) await handle.close();
    for (const folder of this.#folders.splice(0)) await folder.remove();
  }
}
