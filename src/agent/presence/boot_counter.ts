// Counts the starts of the agent, so that a reader knows one of its earlier documents if somebody publishes that again.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../../base/errors.ts";
import { parseJson } from "../../base/foreign_text.ts";
import type { Log } from "../../base/log.ts";
import { State } from "../../protocol.ts";
import type { Transport } from "../../transport.ts";
import type { SigningKey } from "../../trust/keys.ts";
import { replaceFile } from "../../trust/replace_file.ts";
import { verifyDocument } from "../../trust/signature.ts";

/** A place in the order of the agent's documents. */
export interface Place {
  readonly boot: number;
  readonly sequence: number;
}

export interface BootCounterDeps {
  readonly agent: string;
  /** Null: its documents are not signed, so that their order shows nothing. */
  readonly key: SigningKey | null;
  /** Its documents follow this place. */
  readonly document: { after: Place };
  readonly file: BootFile;
  readonly transport: Pick<Transport, "readState" | "now">;
  readonly log: Log;
}

const PlaceFields = State.pick({ boot: true, sequence: true });

export class BootCounter {
  readonly #deps: BootCounterDeps;

  constructor(deps: BootCounterDeps) {
    this.#deps = deps;
  }

  /**
   * The documents of this start follow all earlier ones, also if the counter was lost, set back with a backup, or cannot be
   * stored. Durable before it resolves, where its disk allows that.
   * @throws CourierError when the agent's last document cannot be read: call it again
   */
  async raise(): Promise<void> {
    const { key, document, file, transport, log } = this.#deps;
    if (key === null) return;
    const nowMs = Math.round(transport.now());
    const published = await this.#published(key);
    const stored = file.read(nowMs);
    const last = Math.max(stored, published?.boot ?? 0);
    const failure = file.write(last + 1);
    document.after = { boot: last + 1, sequence: 0 };
    if (failure === null) return;
    // The next start would count the same. In milliseconds no earlier start of this count got as far.
    document.after = { boot: last, sequence: Math.max(nowMs, published?.sequence ?? 0) };
    log.error({ reason: failure, hint: "Free space on the disk of the state directory" }, "Cannot count this start");
  }

  /** The place of this agent's own last document on the share; null if that is another one. */
  async #published(key: SigningKey): Promise<Place | null> {
    const content = (await this.#deps.transport.readState(this.#deps.agent))?.content;
    if (content === undefined || !("text" in content)) return null;
    if (verifyDocument("state", content.text, key) !== "signed") return null;
    const { boot = 0, sequence = 0 } = PlaceFields.safeParse(parseJson(content.text)).data ?? {};
    return { boot, sequence };
  }
}

/** The last count, in a file of its own: it outlives the ledger, and the release before ignores it. */
export class BootFile {
  readonly #path: string;
  readonly #isFirst: boolean;

  /** @param isFirst the agent never signed a document before, so that no count was lost */
  constructor(stateDir: string, isFirst: boolean) {
    this.#path = join(stateDir, "boot");
    this.#isFirst = isFirst;
  }

  /** A count that was lost is replaced by one that no agent reaches by its starts. @param nowMs the transport's clock */
  read(nowMs: number): number {
    const lost = this.#isFirst ? 0 : Math.floor(nowMs / 1000);
    try {
      const text = existsSync(this.#path) ? readFileSync(this.#path, "utf8").trim() : "";
      return /^\d{1,15}$/.test(text) ? Number(text) : lost;
    } catch {
      return lost;
    }
  }

  /** @returns null when it is stored durably, otherwise the reason */
  write(count: number): string | null {
    try {
      replaceFile(this.#path, `${count}\n`);
      return null;
    } catch (error) {
      return systemCode(error) ?? String(error);
    }
  }
}
