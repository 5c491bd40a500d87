// The network between a browser and gpu-server, which can go dead as it does for a machine that sleeps: nothing arrives any more,
// and the browser hears of it only when it sends something.
import type { Socket, TCPSocketListener } from "bun";

interface Side {
  other: Socket<Side> | undefined;
  isDead: boolean;
  /** Towards the browser. */
  readonly isNear: boolean;
  /** What arrived before the other side was open, or had room. */
  waiting: Uint8Array[];
}

export class Line implements Disposable {
  readonly #listener: TCPSocketListener<Side>;
  readonly #open = new Set<Socket<Side>>();

  /** @param url of gpu-server */
  constructor(url: string) {
    const { hostname, port } = new URL(url);
    const ends = this.#ends();
    this.#listener = Bun.listen<Side>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        ...ends,
        open: (near) => {
          near.data = { other: undefined, isDead: false, isNear: true, waiting: [] };
          this.#open.add(near);
          const data: Side = { other: near, isDead: false, isNear: false, waiting: [] };
          void Bun.connect<Side>({
            hostname,
            port: Number(port),
            data,
            socket: { ...ends, open: (far) => join(near, far) },
          })
            .then((far) => void this.#open.add(far))
            .catch(() => near.end());
        },
      },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.port}`;
  }

  /** From now on nothing passes over the connections that are open. New ones work. */
  die(): void {
    for (const each of this.#open) each.data.isDead = true;
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
    for (const each of this.#open) each.end();
  }

  #ends() {
    return {
      data: (from: Socket<Side>, bytes: Uint8Array) => {
        // The other machine knows nothing of this connection any more.
        if (from.data.isDead && from.data.isNear) from.terminate();
        if (from.data.isDead) return;
        from.data.waiting.push(Uint8Array.from(bytes));
        pass(from);
      },
      drain: (to: Socket<Side>) => {
        if (to.data.other !== undefined) pass(to.data.other);
      },
      close: (from: Socket<Side>) => {
        this.#open.delete(from);
        if (!from.data.isDead) from.data.other?.end();
      },
      error: (from: Socket<Side>) => void from.end(),
    };
  }
}

function join(near: Socket<Side>, far: Socket<Side>): void {
  near.data.other = far;
  pass(near);
}

function pass(from: Socket<Side>): void {
  const { other, waiting } = from.data;
  if (other === undefined) return;
  for (;;) {
    const [next] = waiting;
    if (next === undefined) return;
    const written = other.write(next);
    if (written < next.length) {
      waiting[0] = next.subarray(Math.max(0, written));
      return;
    }
    waiting.shift();
  }
}
