// Notifications to systemd over a real datagram socket, and the priority of lines in the journal.
import { beforeEach, describe, expect, test } from "bun:test";
import { fstatSync } from "node:fs";
import { type Log, silentLog } from "#src/base/log.ts";
import { isStderrJournal, withPriority } from "#src/program/journal.ts";
import { noServiceManager, openServiceManager, Systemd } from "#src/program/service_manager.ts";
import { NotifySocket } from "#tests/support/notify_socket.ts";

/** A log that keeps its warnings. */
function warnings(): { readonly log: Log; readonly logged: string[] } {
  const logged: string[] = [];
  return {
    log: { ...silentLog, warn: (fields, message) => void logged.push(`${message} ${JSON.stringify(fields)}`) },
    logged,
  };
}

describe("openServiceManager()", () => {
  test("opens nothing when there is no service manager", () => {
    expect(openServiceManager(silentLog, {}, "no-such-library")).toBe(noServiceManager);
  });

  test("logs once what to install when the library is missing, and goes on", () => {
    const { log, logged } = warnings();
    const service = openServiceManager(log, { NOTIFY_SOCKET: "/run/systemd/notify" }, "libnothing.so.0");
    service.ready();
    service.status("how it is");
    expect(logged).toEqual([expect.stringContaining("Install libnothing.so.0 (Debian: libsystemd0)")]);
  });
});

describe("Systemd", () => {
  const sent: string[] = [];
  let service = new Systemd(() => 1, silentLog);
  beforeEach(() => {
    sent.length = 0;
    service = new Systemd((message) => sent.push(message), silentLog);
  });

  test("sends readiness once, and a status only when it changes", () => {
    service.ready();
    service.ready();
    for (const text of ["a", "a", "b", "a"]) service.status(text);
    service.alive();
    service.alive();
    service.stopping();
    expect(sent).toEqual(["READY=1", "STATUS=a", "STATUS=b", "STATUS=a", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]);
  });

  test("lets no status set another variable", () => {
    service.status("Ollama says: no\nMAINPID=1\r\n\u0000READY=1");
    expect(sent).toEqual(["STATUS=Ollama says: no MAINPID=1 READY=1"]);
  });

  test("warns once when the notification fails", () => {
    const { log, logged } = warnings();
    const unheard = new Systemd(() => -111, log);
    unheard.alive();
    unheard.alive();
    expect(logged).toEqual(['Cannot notify systemd {"errno":111}']);
  });
});

describe("the journal", () => {
  test("isStderrJournal() returns true only when the variable names stderr itself", () => {
    const { dev, ino } = fstatSync(2, { bigint: true });
    expect(isStderrJournal({ JOURNAL_STREAM: `${dev}:${ino}` })).toBe(true);
    expect(isStderrJournal({ JOURNAL_STREAM: `${dev}:${ino + 1n}` })).toBe(false);
    expect(isStderrJournal({})).toBe(false);
  });

  test("withPriority() marks each line", () => {
    expect(withPriority("error", "error: no\n  a hint\n")).toBe("<3>error: no\n<3>  a hint\n");
    expect(withPriority("debug", "seen\n")).toBe("<7>seen\n");
  });
});

test("openServiceManager() notifies the socket in NOTIFY_SOCKET", () => {
  const socket = new NotifySocket();
  try {
    const script = `
      const { openServiceManager } = await import(${JSON.stringify(`${import.meta.dir}/../../src/program/service_manager.ts`)});
      const service = openServiceManager({ warn: (fields, message) => { throw new Error(message); } });
      service.ready();
      service.status("Grüße 1");
      service.alive();
      service.stopping();`;
    const env = { ...process.env, NOTIFY_SOCKET: socket.path };
    const child = Bun.spawnSync([process.execPath, "-e", script], { env, timeout: 10_000 });
    expect(child.stderr.toString()).toBe("");
    expect(socket.messages).toEqual(["READY=1", "STATUS=Grüße 1", "WATCHDOG=1", "STOPPING=1"]);
  } finally {
    socket.close();
  }
});
