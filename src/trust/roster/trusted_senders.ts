// Whose commands a box runs: the keys of its own file, and those of the roster.
import type { CourierError } from "../../base/errors.ts";
import type { TrustedKey } from "../trusted_keys.ts";
import type { TrustedKeysFile } from "../trusted_keys_file.ts";
import type { KeptRoster } from "./kept_roster.ts";

export interface TrustedSendersDeps {
  /** Null: the box has no such file. */
  readonly file: Pick<TrustedKeysFile, "find" | "look" | "trouble"> | null;
  /** Null: the box trusts no operator. */
  readonly roster: Pick<KeptRoster, "sender" | "isRevoked" | "operatorTrouble" | "trouble"> | null;
}

/** What either says, with three rules: a revoked key is nobody's, the line of the box's own file wins, and a fault closes. */
export class TrustedSenders {
  readonly #deps: TrustedSendersDeps;

  constructor(deps: TrustedSendersDeps) {
    this.#deps = deps;
  }

  /** Why no key is trusted now. An expired roster is a reason only where every key comes from it. */
  get trouble(): CourierError | null {
    const { file, roster } = this.#deps;
    if (file === null) return roster?.trouble ?? null;
    // Without the operators' keys nobody knows what is revoked.
    return file.trouble ?? roster?.operatorTrouble ?? null;
  }

  /** The key as it is trusted now. */
  find(id: string): TrustedKey | undefined {
    const { file, roster } = this.#deps;
    const key = file?.find(id) ?? roster?.sender(id);
    return this.isRevoked(id) || this.trouble !== null ? undefined : key;
  }

  isRevoked(id: string): boolean {
    return this.#deps.roster?.isRevoked(id) ?? false;
  }

  /** Reads the files again if they changed. */
  look(): void {
    this.#deps.file?.look();
  }
}
