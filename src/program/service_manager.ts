// What systemd is told of a service: that it is ready, how it is, that it comes round, that it stops. Imports bun:ffi, log.
import { dlopen } from "bun:ffi";
import type { Log } from "../base/log.ts";

/** Anyone who starts the service waits no longer for its first look at the share. */
export const FIRST_LOOK_MS = 10_000;

/** Who started the process as a service. Telling it anything returns at once, and never throws. */
export interface ServiceManager {
  /** `systemctl start` returns now. Told once. */
  ready(): void;
  /** What `systemctl status` shows, in a line. Told when it changed. */
  status(text: string): void;
  /** Feeds the watchdog: work was done, all of it. A process that does not say so for `WatchdogSec=` is restarted. */
  alive(): void;
  stopping(): void;
}

export const noServiceManager: ServiceManager = { ready() {}, status() {}, alive() {}, stopping() {} };

const LIBRARY = "libsystemd.so.0";

/**
 * The service manager that started this process; one that hears nothing where none did.
 * @param library where sd_notify(3) is; for tests
 */
export function openServiceManager(
  log: Log,
  environment: NodeJS.ProcessEnv = process.env,
  library: string = LIBRARY,
): ServiceManager {
  if (!environment["NOTIFY_SOCKET"]) return noServiceManager;
  try {
    const { symbols } = dlopen(library, { sd_notify: { args: ["i32", "cstring"], returns: "i32" } });
    return new Systemd((message) => symbols.sd_notify(0, Buffer.from(`${message}\0`)), log);
  } catch (error) {
    const hint = `Install ${library} (Debian: libsystemd0), or give the unit Type=exec and WatchdogSec=0`;
    log.warn({ error, hint }, "Cannot tell systemd how the service is");
    return noServiceManager;
  }
}

/** Speaks sd_notify(3). */
export class Systemd implements ServiceManager {
  readonly #notify: (message: string) => number;
  readonly #log: Log;
  #isReady = false;
  #status = "";
  #hasFailed = false;

  /** @param notify @returns below 0: the negative errno */
  constructor(notify: (message: string) => number, log: Log) {
    this.#notify = notify;
    this.#log = log;
  }

  ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#tell("READY=1");
  }

  status(text: string): void {
    // A line of its own would be another assignment: what is told may quote what came from elsewhere.
    const line = text.replaceAll(/\p{Cc}+/gu, " ");
    if (line === this.#status) return;
    this.#status = line;
    this.#tell(`STATUS=${line}`);
  }

  alive(): void {
    this.#tell("WATCHDOG=1");
  }

  stopping(): void {
    this.#tell("STOPPING=1");
  }

  #tell(message: string): void {
    const result = this.#notify(message);
    if (result >= 0 || this.#hasFailed) return;
    this.#hasFailed = true;
    this.#log.warn({ errno: -result }, "Cannot tell systemd how the service is");
  }
}
