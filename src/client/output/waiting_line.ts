// The line on a terminal that shows whom a verb waits for: drawn after a second, and gone when the answer is there.
import type { Clock } from "../../base/clock.ts";
import { formatDuration, visibleText } from "../../base/format.ts";
import type { FleetCourier } from "../fleet_courier.ts";
import type { Screen } from "../io.ts";

type Fleet = Pick<FleetCourier, "agents" | "lastKnownAgents" | "now">;

const SHOWN_AFTER_MS = 1_000;
const ERASE = "\r\u001b[K";
const DEFAULT_WIDTH = 80;
/** More names than this are counted. */
const NAMED = 3;

export class WaitingLine {
  readonly #screen: Screen;
  readonly #clock: Clock;
  #fleet: Fleet | undefined;
  /** How often each agent, or the share, is awaited. */
  readonly #awaited = new Map<string, number>();
  #ended = new AbortController();
  #isDrawn = false;
  #isReading = false;
  #isMuted: boolean;

  constructor(screen: Screen, clock: Clock) {
    this.#screen = screen;
    this.#clock = clock;
    this.#isMuted = screen.isTTY !== true;
  }

  /** From now on it shows when an agent was last seen. */
  showLastSeen(fleet: Fleet): void {
    this.#fleet = fleet;
  }

  /** @param subject an agent, or anything else that answers late @returns to be called with the answer */
  begin(subject: string): () => void {
    this.#awaited.set(subject, (this.#awaited.get(subject) ?? 0) + 1);
    if (this.#awaited.size === 1 && !this.#isMuted) {
      this.#ended = new AbortController();
      void this.#draw(this.#ended.signal);
    }
    return () => {
      const left = (this.#awaited.get(subject) ?? 0) - 1;
      if (left > 0) this.#awaited.set(subject, left);
      else this.#awaited.delete(subject);
      if (this.#awaited.size > 0) return;
      this.#ended.abort();
      this.erase();
    };
  }

  /** Something else draws on the screen from now on. */
  mute(): void {
    this.#isMuted = true;
    this.#ended.abort();
    this.erase();
  }

  erase(): void {
    if (this.#isDrawn) this.#screen.write(ERASE);
    this.#isDrawn = false;
  }

  /** The same stream, with this line out of the way of all that is written to it. */
  inFrontOf(screen: Screen): Screen {
    if (this.#isMuted) return screen;
    return new Proxy(screen, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        if (name === "write") this.erase();
        return value.bind(target);
      },
    });
  }

  async #draw(ended: AbortSignal): Promise<void> {
    const screen = this.#screen;
    for (;;) {
      await this.#clock.sleep(SHOWN_AFTER_MS, ended);
      if (ended.aborted) return;
      const text = visibleText(this.#text(), " ");
      screen.write(`${ERASE}${Bun.sliceAnsi(text, 0, (screen.columns || DEFAULT_WIDTH) - 1)}`);
      this.#isDrawn = true;
    }
  }

  #text(): string {
    const names = [...this.#awaited.keys()];
    const [only] = names;
    if (names.length === 1 && only !== undefined)
      return `Waiting for ${only} … (${this.#lastSeen(only)}Ctrl-C to stop)`;
    const whom = names.length > NAMED ? `${names.length} boxes` : names.join(", ");
    return `Waiting for ${whom} … (Ctrl-C to stop)`;
  }

  /** It reads again in the background: a share that hangs must not stop the line. */
  #lastSeen(agent: string): string {
    const fleet = this.#fleet;
    const view = fleet?.lastKnownAgents().find((each) => each.agent === agent);
    if (fleet === undefined || view === undefined) return "";
    if (!this.#isReading) void this.#read(fleet);
    return `last seen ${formatDuration(Math.max(0, fleet.now() - Date.parse(view.lastSeenAt)) / 1000)} ago, `;
  }

  async #read(fleet: Fleet): Promise<void> {
    this.#isReading = true;
    await fleet.agents().catch(() => undefined);
    this.#isReading = false;
  }
}
