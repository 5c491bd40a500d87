// The stage of one chaos run: a mounted ground, two boxes, senders, and a canary beside the share.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseJson } from "#src/base/foreign_text.ts";
import { State } from "#src/protocol.ts";
import { ProcessSite } from "#tests/process/site/site.ts";
import { Box } from "./box.ts";
import type { Ground, GroundMaker } from "./grounds.ts";
import { LegacyBackend } from "./legacy.ts";
import { KEPT_MODEL, SHARED_MODELS, specOf } from "./load.ts";
import { Sender } from "./wire.ts";

const AGENTS = ["gpu-1", "gpu-2"];
const CANARY = "nobody writes here\n";
const BYTES_PER_SECOND = 200_000;

export class ChaosSite {
  readonly ground: Ground;
  readonly boxes: Box[] = [];
  readonly senders: readonly Sender[];
  readonly legacy: LegacyBackend;
  readonly #site = new ProcessSite();

  constructor(makeGround: GroundMaker) {
    const { dir, share } = this.#site;
    // What ProcessSite made is below the mount point.
    rmSync(share, { recursive: true });
    const server = join(dir, "server");
    for (const folder of [share, server, join(dir, "canary")]) mkdirSync(folder);
    writeFileSync(join(dir, "canary", "file"), CANARY);
    this.ground = makeGround(server, share);
    // One on the mount of the agents, one on the machine that has the share.
    this.senders = [new Sender(share, "near"), new Sender(this.ground.server, "far")];
    this.legacy = new LegacyBackend(this.ground.server);
  }

  async open(): Promise<void> {
    await this.ground.mount();
    for (const name of AGENTS) {
      const ollama = await this.#site.ollama({
        catalog: SHARED_MODELS.map(specOf),
        installed: [specOf(KEPT_MODEL)],
        bytesPerSecond: BYTES_PER_SECOND,
      });
      this.boxes.push(new Box(this.#site, name, ollama, this.ground.agent));
    }
    for (const box of this.boxes) {
      await box.mountState();
      box.start();
    }
    await Promise.all(this.boxes.map(async (box) => await box.ready()));
    for (const sender of this.senders) await sender.open();
    this.legacy.start();
  }

  /** The files of commands, as `<inbox>/<id>`. */
  commandFiles(): string[] {
    const folder = join(this.ground.server, "gpu_commands");
    const inboxes = [["shared", folder] as const, ...AGENTS.map((name) => [name, join(folder, name)] as const)];
    return inboxes.flatMap(([inbox, path]) => {
      const names = existsSync(path) ? readdirSync(path) : [];
      const files = names.filter((name) => /^[^.].*\.json$/.test(name));
      return files.map((name) => `${inbox}/${name.slice(0, -".json".length)}`);
    });
  }

  state(agent: string): State | undefined {
    const path = join(this.ground.server, "gpu_status", `${agent}_status.json`);
    return existsSync(path) ? State.safeParse(parseJson(readFileSync(path, "utf8"))).data : undefined;
  }

  /** Files and folders where nobody may write. */
  strays(): string[] {
    const { dir, share } = this.#site;
    const found = (folder: string, expected: readonly string[]): string[] =>
      readdirSync(folder)
        .filter((name) => !expected.includes(name))
        .map((name) => join(folder, name));
    const strays = [
      ...found(dir, ["canary", "server", "share", ...AGENTS.map((name) => `agent-${name}`)]),
      ...found(join(dir, "canary"), ["file"]),
      ...found(join(dir, "server"), ["share", "aside"]),
      ...found(this.ground.aside, []),
      ...found(share, ["gpu_commands", "gpu_status"]),
    ];
    const isTouched = readFileSync(join(dir, "canary", "file"), "utf8") !== CANARY;
    return isTouched ? [...strays, "canary/file"] : strays;
  }

  /** Unmounts; what is below the mount point then was written while the share was away. */
  async unmount(): Promise<string[]> {
    const { dir, share } = this.#site;
    await this.ground.unmount();
    const below = readdirSync(share).map((name) => join(share, name));
    return existsSync(dir) ? below : [];
  }

  async close(): Promise<void> {
    // A run that failed has left the ground mounted.
    await this.ground.unmount().catch(() => undefined);
    for (const box of this.boxes) {
      await box.front.refuse();
      await box.unmountState().catch(() => undefined);
    }
    await this.#site.close();
  }
}
