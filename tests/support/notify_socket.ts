// The receiver's end of sd_notify(3): a datagram socket as systemd has it, by the C library.
import { dlopen, type Pointer, ptr } from "bun:ffi";
import { closeSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const PATH_BYTES = 108;
const MESSAGE_BYTES = 4096;

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
});

/** Listens from its making until `close()`. */
export class NotifySocket {
  readonly #dir = mkdtempSync(join(tmpdir(), "gpu-courier-notify-"));
  readonly path = join(this.#dir, "socket");
  readonly #file: number;
  readonly #messages: string[] = [];

  constructor() {
    this.#file = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
    const address = Buffer.alloc(2 + PATH_BYTES);
    address.writeUInt16LE(AF_UNIX);
    address.write(this.path, 2);
    if (libc.bind(this.#file, pointer(address), address.length) !== 0) throw new Error(`Cannot bind ${this.path}`);
  }

  /** The messages received so far, in order. */
  get messages(): readonly string[] {
    const buffer = Buffer.alloc(MESSAGE_BYTES);
    for (;;) {
      const length = Number(libc.recv(this.#file, pointer(buffer), buffer.length, MSG_DONTWAIT));
      if (length < 0) return this.#messages;
      this.#messages.push(buffer.toString("utf8", 0, length));
    }
  }

  /** Resolves once such a message came. @throws when none does in time */
  async received(message: string | RegExp, limitMs?: number): Promise<void> {
    const fits = (text: string): boolean => (typeof message === "string" ? text === message : message.test(text));
    await until(() => this.messages.some(fits), limitMs).catch((error: unknown) => {
      throw new Error(`No ${String(message)} among:\n${this.messages.join("\n")}`, { cause: error });
    });
  }

  close(): void {
    closeSync(this.#file);
    rmSync(this.#dir, { recursive: true });
  }
}

function pointer(buffer: Buffer): Pointer {
  return ptr(buffer);
}
