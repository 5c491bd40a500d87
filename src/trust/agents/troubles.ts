// Documents that do not count: why, whose name they have, and what to do about it.

/**
 * `conflict`: well signed by another key than the known one. `forged`: wrongly signed. `unsigned`: by an agent that signs.
 * `required`: unsigned, where all must sign. `unpinned`: of a new agent, while there is no room for its key. `revoked`: by a key that an operator revoked. `replayed`: older than one that
 * counted. `late`: so little older that a slow reading explains it, once.
 */
export type TroubleKind =
  | "conflict"
  | "forged"
  | "unsigned"
  | "required"
  | "unpinned"
  | "revoked"
  | "replayed"
  | "late";

export interface Trouble {
  readonly kind: TroubleKind;
  /** Goes on after "a document of gpu-1 does not count: ". */
  readonly reason: string;
  /** The other key of a `conflict`, in base64. */
  readonly key?: string;
  /** Its id. */
  readonly keyId?: string;
}

/** All that was wrong under one agent's name. */
export interface TroubleCount {
  readonly agent: string;
  /** The last one. */
  readonly trouble: Trouble;
  readonly count: number;
}

/** What an operator can do. */
export function troubleHint(agent: string, { kind }: Pick<Trouble, "kind">): string {
  const writers = "find out who writes to gpu_status: its real documents still count";
  if (kind === "conflict")
    return `If the box was replaced: gpuctl trust ${agent} KEY, with what \`gpu-agent key\` prints there. Otherwise ${writers}`;
  if (kind === "unsigned")
    return `If it was downgraded on purpose: gpuctl trust ${agent} --unsigned. Otherwise ${writers}`;
  if (kind === "revoked")
    return `If the box is yours, make it a new key: remove signing.key from its state directory and restart it. Otherwise ${writers}`;
  if (kind === "replayed")
    return `If its state directory was restored from a copy: gpuctl trust ${agent} KEY. Otherwise ${writers}`;
  if (kind === "unpinned")
    return `Find out who writes so many names to gpu_status, and remove them. If the agent is yours: gpuctl trust ${agent} KEY`;
  if (kind === "required")
    return `Install a release that signs on the box, or: gpuctl trust ${agent} --unsigned, or use --verify-agents known`;
  return kind === "late" ? "Try again" : `Somebody else writes under this name: ${writers}`;
}

/** Kinds of documents that agents publish which are only too old or too many for this reader. */
const BY_AN_AGENT: readonly TroubleKind[] = ["required", "unpinned", "late"];

/** Counts troubles by agent. Bounded: names come from the share. */
export class Troubles {
  readonly #most: number;
  readonly #counts = new Map<string, TroubleCount>();
  /** The kinds that each agent has had. */
  readonly #kinds = new Map<string, Set<TroubleKind>>();
  /** The agents with a kind that nobody has taken yet. */
  readonly #news = new Set<string>();
  /** How many documents somebody forged, and the last of them: it may be read again. */
  readonly #forged = new Map<string, { readonly count: number; readonly last: number | bigint | null }>();

  /** @param most names that anybody may have invented */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * @param isKnown otherwise anybody may have invented the name, and there is room for a number of them
   * @param text the document; null: one that was not counted when it was read
   */
  add(agent: string, trouble: Trouble, isKnown: boolean, text: string | null): void {
    const before = this.#counts.get(agent);
    if (before === undefined && !isKnown && this.#counts.size >= this.#most) return;
    if (!BY_AN_AGENT.includes(trouble.kind)) this.#countForged(agent, text === null ? null : Bun.hash(text));
    const kinds = this.#kinds.get(agent) ?? new Set();
    if (!kinds.has(trouble.kind)) this.#news.add(agent);
    this.#kinds.set(agent, kinds.add(trouble.kind));
    this.#counts.set(agent, { agent, trouble, count: (before?.count ?? 0) + 1 });
  }

  /** How many documents under an agent's name were not the agent's, or old. One that is read again is counted once. */
  forged(agent: string): number {
    return this.#forged.get(agent)?.count ?? 0;
  }

  /** A document of the agent counts: whatever comes after it was published after it. */
  counted(agent: string): void {
    const forged = this.#forged.get(agent);
    if (forged !== undefined) this.#forged.set(agent, { ...forged, last: null });
  }

  #countForged(agent: string, last: number | bigint | null): void {
    const before = this.#forged.get(agent);
    if (last === null || before?.last !== last) this.#forged.set(agent, { count: (before?.count ?? 0) + 1, last });
  }

  /** An operator has dealt with it. */
  forget(agent: string): void {
    this.#counts.delete(agent);
    this.#kinds.delete(agent);
    this.#news.delete(agent);
  }

  all(): readonly TroubleCount[] {
    return [...this.#counts.values()];
  }

  /** Those of a new kind since the last call. */
  takeNews(): readonly TroubleCount[] {
    const news = [...this.#news].flatMap((agent) => this.#counts.get(agent) ?? []);
    this.#news.clear();
    return news;
  }
}
