// Notifies systemd of a service's readiness, status, heartbeat and stop.
import { dlopen } from "bun:ffi";
import type { Log } from "../base/log.ts";

/** A service reports that it is ready after this time, even if its first look at the share has not ended. */
export const FIRST_LOOK_MS = 10_000;

/** The service manager that started this process. Each notification returns at once and never throws. */
export interface ServiceManager {
  /** `systemctl start` returns now. Sent once. */
  ready(): void;
  /** The line that `systemctl status` shows. Sent when it changes. */
  status(text: string): void;
  /** The heartbeat: every loop has completed a pass. systemd restarts a process without one for `WatchdogSec=`. */
  alive(): void;
  stopping(): void;
}

export const noServiceManager: ServiceManager = { ready() {}, status() {}, alive() {}, stopping() {} };

const LIBRARY = "libsystemd.so.0";

/**
 * Opens the service manager that started this process. Without one, notifications do nothing.
 * @param library has sd_notify(3); for tests
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
    log.warn({ error, hint }, "Cannot notify systemd");
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

  /** @param notify returns a negative errno when it fails */
  constructor(notify: (message: string) => number, log: Log) {
    this.#notify = notify;
    this.#log = log;
  }

  ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#send("READY=1");
  }

  status(text: string): void {
    // A second line would be another assignment, and the text may quote other programs.
    const line = text.replaceAll(/\p{Cc}+/gu, " ");
    if (line === this.#status) return;
    this.#status = line;
    this.#send(`STATUS=${line}`);
  }

  alive(): void {
    this.#send("WATCHDOG=1");
  }

  stopping(): void {
    this.#send("STOPPING=1");
  }

  #send(message: string): void {
    const result = this.#notify(message);
    if (result >= 0 || this.#hasFailed) return;
    this.#hasFailed = true;
    this.#log.warn({ errno: -result }, "Cannot notify systemd");
  }
}
