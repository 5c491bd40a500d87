// The server's parts that work alone: sockets, the connection to the share, the catalog, refused jobs.
import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { refusedJob } from "#src/documents/jobs.ts";
import { Connection } from "#src/server/fleet/connection.ts";
import { isLoopback, listen } from "#src/server/http/listen.ts";
import { readCatalog } from "#src/server/platform/catalog.ts";
import { RefusedJobs } from "#src/server/store/refused_jobs.ts";
import { openStore } from "#src/server/store/store.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { Transport } from "#src/transport.ts";
import { failure } from "#tests/support/failure.ts";

const LOCAL = { host: "127.0.0.1", port: 0 };

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "gpu-courier-parts-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe("listen()", () => {
  test("lets the request under way end, and takes no new one, when it closes", async () => {
    const [arrived, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<Response>()];
    const fetchSlowly = async (): Promise<Response> => {
      arrived.resolve();
      return await answer.promise;
    };
    const listener = listen(LOCAL, fetchSlowly, 1000);
    const underWay = fetch(listener.url);
    await arrived.promise;
    const closed = listener.close(10_000);
    const late = await fetch(listener.url).then(
      () => "taken",
      () => "refused",
    );
    expect(late).toBe("refused");
    answer.resolve(new Response("done"));
    expect(await (await underWay).text()).toBe("done");
    await closed;
  });

  test("ends a request that outlasts the grace, and aborts its signal", async () => {
    const [arrived, aborted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const fetchForEver = async (request: Request): Promise<Response> => {
      request.signal.addEventListener("abort", () => aborted.resolve());
      arrived.resolve();
      return await new Promise<Response>(() => undefined);
    };
    const listener = listen(LOCAL, fetchForEver, 1000);
    const underWay = fetch(listener.url).then(
      () => "answered",
      () => "cut",
    );
    await arrived.promise;
    await listener.close(20);
    await aborted.promise;
    expect(await underWay).toBe("cut");
  });

  test("says that the port is taken when it is", async () => {
    const other = createServer().listen(0, LOCAL.host);
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    expect(() => listen({ ...LOCAL, port }, () => new Response(), 1000)).toThrow(
      expect.objectContaining({ code: "conflict" }),
    );
    other.close();
    await once(other, "close");
  });

  test.each([
    ["127.0.0.1", true],
    ["127.8.0.1", true],
    ["localhost", true],
    ["::1", true],
    ["0.0.0.0", false],
    ["::", false],
    ["127.0.0.1.example", false],
    ["10.0.0.1", false],
  ])("isLoopback(%p) is %p", (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});

describe("Connection", () => {
  function failing(times: number): { transport: Transport; attempts: () => number } {
    const transport = new MemoryStore().open();
    let attempts = 0;
    const connect = async (): Promise<void> => {
      attempts += 1;
      if (attempts <= times)
        throw new CourierError("unavailable", "/mnt/shared has no gpu_commands folder. Is the share mounted?");
    };
    return { transport: Object.assign(transport, { connect }), attempts: () => attempts };
  }

  const fleet = { open: async () => undefined };

  /** Does not wait, and records the durations. */
  const slept: number[] = [];
  const hasty = { ...systemClock, sleep: async (durationMs: number) => void slept.push(durationMs) };

  test("open() retries every second until the transport connects, and logs each reason once", async () => {
    const { transport, attempts } = failing(5);
    const warnings: object[] = [];
    const log = { ...silentLog, warn: (fields: object) => void warnings.push(fields) };
    const connection = new Connection({ transport, fleet, clock: hasty, log });
    expect(() => connection.requireOpen()).toThrow("not been reached yet");
    await connection.open(new AbortController().signal);
    connection.requireOpen();
    expect(attempts()).toBe(6);
    expect(slept.splice(0)).toEqual([1000, 1000, 1000, 1000, 1000]);
    expect(warnings).toEqual([{ reason: "/mnt/shared has no gpu_commands folder. Is the share mounted?" }]);
  });

  test("requireOpen() throws the last reason when the server is stopped before it connects", async () => {
    const { transport } = failing(Number.POSITIVE_INFINITY);
    const stop = new AbortController();
    const clock = { ...hasty, sleep: async () => stop.abort() };
    const connection = new Connection({ transport, fleet, clock, log: silentLog });
    await connection.open(stop.signal);
    expect(() => connection.requireOpen()).toThrow("Is the share mounted?");
  });
});

test("a Connection that is denied throws it as `unavailable`, with its hint; a bug stays one", async () => {
  const failureOf = async (thrown: Error): Promise<unknown> => {
    const stop = new AbortController();
    const transport = { description: "", connect: async () => await Promise.reject(thrown) };
    const clock = { ...systemClock, sleep: async () => stop.abort() };
    const connection = new Connection({ transport, fleet: { open: async () => {} }, clock, log: silentLog });
    await connection.open(stop.signal);
    return await failure(Promise.try(() => connection.requireOpen()));
  };
  const denied = new CourierError("forbidden", "permission denied", { hint: "Mount it" });
  const expected = { code: "unavailable", message: "permission denied", hint: "Mount it" };
  expect(await failureOf(denied)).toMatchObject(expected);
  expect(await failureOf(new TypeError("x"))).toMatchObject({ code: "internal" });
});

describe("readCatalog()", () => {
  test("takes the operator's file when it is a catalog", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "catalog.json");
      const catalog = { models: [{ name: "own:1", description: "Ours", size: "1 GB" }] };
      await Bun.write(path, JSON.stringify(catalog));
      expect(readCatalog(path)).toEqual(catalog);
    });
  });

  test("throws the reason when the file is not a catalog", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "catalog.json");
      expect(() => readCatalog(path)).toThrow(/ENOENT/);
      await Bun.write(path, '{"models": [{"name": "x", "description": "no size"}]}');
      expect(() => readCatalog(path)).toThrow(/models\.0\.size/);
      await Bun.write(path, "{");
      expect(() => readCatalog(path)).toThrow(expect.objectContaining({ code: "invalid" }));
    });
  });
});

describe("RefusedJobs", () => {
  test("keep all that one request brings, or none", async () => {
    await withFolder(async (folder) => {
      const database = openStore(folder);
      const jobs = new RefusedJobs(database, systemClock);
      const job = refusedJob("gpu-1", "phi4:latest", new CourierError("exhausted", "Disk full"), "0190", "2026-01-02");
      const many = Array.from({ length: 1000 }, (_, index) => ({ ...job, id: `job-${index}` }));
      jobs.add(many);
      expect(jobs.list(() => true)).toHaveLength(1000);
      database.run(
        "CREATE TRIGGER full BEFORE INSERT ON refused_jobs WHEN NEW.id = 'last' BEGIN SELECT RAISE(ABORT, 'full'); END",
      );
      expect(() =>
        jobs.add([
          { ...job, id: "first" },
          { ...job, id: "last" },
        ]),
      ).toThrow("full");
      expect(jobs.find("first")).toBeUndefined();
      database.close();
    });
  });

  test("keep the last thousand, however often somebody asks without success", async () => {
    await withFolder(async (folder) => {
      let nowMs = Date.parse("2026-01-02T03:04:05Z");
      const database = openStore(folder);
      const jobs = new RefusedJobs(database, { ...systemClock, now: () => nowMs });
      const job = refusedJob("gpu-1", "phi4:latest", new CourierError("unavailable", "Away"), "0190", "2026-01-02");
      for (let hour = 0; hour < 3; hour++) {
        jobs.add(Array.from({ length: 600 }, (_, index) => ({ ...job, id: `job-${hour}-${index}` })));
        nowMs += 3_600_000;
      }
      expect([jobs.list(() => true).length, jobs.list(() => true)[0]?.id]).toEqual([1000, "job-2-99"]);
      expect([jobs.find("job-0-0"), jobs.find("job-2-0")?.id]).toEqual([undefined, "job-2-0"]);
      database.close();
    });
  });

  test("keep a job over a restart, for a day", async () => {
    await withFolder(async (folder) => {
      let nowMs = Date.parse("2026-01-02T03:04:05Z");
      const clock = { ...systemClock, now: () => nowMs };
      const error = new CourierError("exhausted", "Disk full");
      const job = refusedJob("gpu-1", "phi4:latest", error, "0190", "2026-01-02T03:04:05.000Z");
      const first = openStore(folder);
      new RefusedJobs(first, clock).add([job]);
      first.close();
      const database = openStore(folder);
      const jobs = new RefusedJobs(database, clock);
      expect(jobs.find("0190")).toEqual(job);
      nowMs += 24 * 3_600_000 + 1;
      expect(jobs.find("0190")).toBeUndefined();
      expect(jobs.list(() => true)).toEqual([]);
      jobs.add([{ ...job, id: "0191" }]);
      expect(database.query<{ n: number }, []>("SELECT count(*) AS n FROM refused_jobs").get()?.n).toBe(1);
      database.close();
    });
  });
});
