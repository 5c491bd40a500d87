// File calls that hold who uses them to the rule of a network share: no name is asked for that no listing has shown.
import { constants, readlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import { systemCode } from "#src/base/errors.ts";
import type { Awaitable, Primitives } from "#src/transport/share/calls/primitives.ts";

const HELD = /^(\/proc\/\d+\/fd\/\d+)\/(.+)$/;

/** A path as it is, or with its folder's name where the call used the folder's descriptor. */
export function pathByName(path: string): string {
  const [, descriptor, name] = HELD.exec(path) ?? [];
  return descriptor === undefined || name === undefined ? path : `${readlinkSync(descriptor)}/${name}`;
}

/** The names of a folder that a machine knows, each with the turn in which it learned of it. */
interface Shown {
  /** When the listing began that they are from. */
  readonly since: number;
  readonly names: ReadonlyMap<string, number>;
}

/**
 * What one machine knows to be there: from its last listing of each folder, and from its own doing since. Of two listings at
 * once the one that began last counts, whichever ends first.
 */
export class ListedNames {
  /** Names that were asked for anyway, with the call. */
  readonly offences: string[] = [];
  readonly #root: string;
  readonly #fs: Primitives;
  readonly #shown = new Map<string, Shown>();
  #turn = 0;

  /** @param root the share's own address, which the operator named */
  constructor(root: string, fs: Primitives) {
    this.#root = root;
    this.#fs = fs;
  }

  get primitives(): Primitives {
    const fs = this.#fs;
    const { O_CREAT } = constants;
    return {
      ...fs,
      open: (path, flags, mode) =>
        (flags & O_CREAT) === 0
          ? this.#ask("open", path, () => fs.open(path, flags, mode))
          : this.#make(path, () => fs.open(path, flags, mode)),
      lstat: (path) => this.#ask("lstat", path, () => fs.lstat(path)),
      readdir: async (path) => {
        const since = ++this.#turn;
        const names = await this.#ask("readdir", path, () => fs.readdir(path));
        this.#list(path, since, names);
        return names;
      },
      mkdir: (path, mode) => this.#make(path, () => fs.mkdir(path, mode)),
      rmdir: (path) => this.#ask("rmdir", path, () => fs.rmdir(path)),
      rename: (from, to) => this.#ask("rename", from, () => this.#make(to, () => fs.rename(from, to))),
      link: (existing, path) => this.#ask("link", existing, () => this.#make(path, () => fs.link(existing, path))),
      unlink: (path) => this.#ask("unlink", path, () => fs.unlink(path)),
    };
  }

  async #ask<Result>(call: string, asked: string, run: () => Awaitable<Result>): Promise<Result> {
    const path = pathByName(asked);
    const isKnown = this.#shown.get(dirname(path))?.names.has(basename(path)) === true;
    if (path !== this.#root && !isKnown) this.offences.push(`${call} ${path.slice(this.#root.length + 1)}`);
    return await run();
  }

  /** To make a name asks for none; that it is there is known then, also from the answer that it is there already. */
  async #make<Result>(asked: string, run: () => Awaitable<Result>): Promise<Result> {
    const path = pathByName(asked);
    try {
      const result = await run();
      this.#learn(path);
      return result;
    } catch (error) {
      if (systemCode(error) === "EEXIST") this.#learn(path);
      throw error;
    }
  }

  #learn(path: string): void {
    const { since = 0, names = [] } = this.#shown.get(dirname(path)) ?? {};
    this.#shown.set(dirname(path), { since, names: new Map([...names, [basename(path), ++this.#turn]]) });
  }

  #list(folder: string, since: number, listed: readonly string[]): void {
    const { since: last = 0, names = [] } = this.#shown.get(folder) ?? {};
    if (since < last) return;
    const learned = [...names].filter(([, turn]) => turn > since);
    const shown = listed.map((name): [string, number] => [name, since]);
    this.#shown.set(folder, { since, names: new Map([...shown, ...learned]) });
  }
}
