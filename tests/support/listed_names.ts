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

/** What one machine knows to be there: from its last listing of each folder, and from its own doing since. */
export class ListedNames {
  /** Names that were asked for anyway, with the call. */
  readonly offences: string[] = [];
  readonly #root: string;
  readonly #fs: Primitives;
  readonly #shown = new Map<string, Set<string>>();

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
        const names = await this.#ask("readdir", path, () => fs.readdir(path));
        this.#shown.set(path, new Set(names));
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
    if (path !== this.#root && !this.#namesIn(dirname(path)).has(basename(path))) {
      this.offences.push(`${call} ${path.slice(this.#root.length + 1)}`);
    }
    return await run();
  }

  /** To make a name asks for none; that it is there is known then, also from the answer that it is there already. */
  async #make<Result>(asked: string, run: () => Awaitable<Result>): Promise<Result> {
    const path = pathByName(asked);
    try {
      const result = await run();
      this.#namesIn(dirname(path)).add(basename(path));
      return result;
    } catch (error) {
      if (systemCode(error) === "EEXIST") this.#namesIn(dirname(path)).add(basename(path));
      throw error;
    }
  }

  #namesIn(folder: string): Set<string> {
    const names = this.#shown.get(folder) ?? new Set();
    this.#shown.set(folder, names);
    return names;
  }
}
