// How gpuctl writes sizes, times and tables.
import { describe, expect, test } from "bun:test";
import { formatAgo, formatBytes, formatDuration, visibleText } from "#src/base/format.ts";
import { describeProgress, summarizeJob } from "#src/client/output/job_text.ts";
import { formatTable } from "#src/client/output/table.ts";
import { colored } from "#src/program/style.ts";
import { jobOf } from "#tests/support/sites/client_run.ts";

describe("formatBytes()", () => {
  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [999_949, "999.9 kB"],
    [999_950, "1.0 MB"],
    [4_113_301_824, "4.1 GB"],
    [512e9, "512.0 GB"],
    [2e18, "2000.0 PB"],
  ])("writes %d as %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe("formatDuration()", () => {
  test.each([
    [-1, "0 s"],
    [34.4, "34 s"],
    [59.6, "1 min"],
    [200, "3 min 20 s"],
    [7_500, "2 h 5 min"],
    [86_400, "1 d"],
    [273_600, "3 d 4 h"],
  ])("writes %d as %s", (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe("formatAgo()", () => {
  const now = "2026-01-02T03:04:05Z";
  test.each([
    ["2026-01-02T03:04:04Z", "1 second ago"],
    ["2026-01-02T03:01:05.123456789Z", "2 minutes ago"],
    ["2026-01-02T02:04:05+02:00", "3 hours ago"],
    ["2025-12-31T03:04:05Z", "2 days ago"],
    ["2025-12-20T03:04:05Z", "1 week ago"],
    ["2025-10-20T03:04:05Z", "2 months ago"],
    ["2024-01-01T03:04:05Z", "2 years ago"],
    ["2026-01-02T03:04:35Z", "just now"],
    ["yesterday", "-"],
    [null, "-"],
  ])("writes %p as %p", (instant, text) => {
    expect(formatAgo(instant, Date.parse(now))).toBe(text);
  });
});

describe("visibleText()", () => {
  test("takes out what a terminal would obey and leaves every script", () => {
    expect(visibleText("\u001b[31mrot\u0007 \u009b2J \u202eabc\tдва 模型 é\n")).toBe(" [31mrot   2J  abc два 模型 é\n");
  });
});

describe("describeProgress()", () => {
  const job = jobOf({ state: "running", completed_bytes: 999, total_bytes: 1000 });

  test("shows 100 % only when everything was downloaded", () => {
    expect(describeProgress(job, 0)).toBe("99 %, 999 B of 1.0 kB");
    expect(describeProgress({ ...job, completed_bytes: 1000 }, 0)).toBe("100 %, 1.0 kB of 1.0 kB");
  });

  test("shows what is known while the size is unknown", () => {
    expect(describeProgress({ ...job, total_bytes: null }, 0)).toBe("999 B");
    expect(describeProgress({ ...job, total_bytes: null, completed_bytes: 0 }, 0)).toBe("");
  });
});

describe("formatTable()", () => {
  const columns = [
    { title: "NAME", flexible: true },
    { title: "SIZE", align: "right" },
    { title: "AGENTS", flexible: true },
  ] as const;

  test("lines columns up, without lines around them or spaces at the end", () => {
    const rows = [
      ["phi4:latest", "9.1 GB", "gpu-1, gpu-2"],
      ["模型", "1 B", ""],
    ];
    expect(formatTable(columns, rows, Number.POSITIVE_INFINITY)).toBe(
      "NAME           SIZE  AGENTS\nphi4:latest  9.1 GB  gpu-1, gpu-2\n模型            1 B  -\n",
    );
  });

  test("keeps every row on one line when there is no width", () => {
    const rows = Array.from({ length: 250 }, (_, index) => [`model-${index}`, "1 B\n2 B", "gpu-1, ".repeat(40)]);
    const lines = formatTable(columns, rows, Number.POSITIVE_INFINITY).trimEnd().split("\n");
    expect(lines.length).toBe(251);
    expect(new Set(lines.map((line) => line.indexOf("gpu-1"))).size).toBe(2);
  });

  test("gives a longer cell its own row alone where there is no width, and cuts it where there is one", () => {
    const withStatus = [{ title: "NAME" }, { title: "STATUS", flexible: true, cut: true, usual: 8 }, { title: "JOBS" }];
    const rows = [
      ["a", "online", "1"],
      ["b", "degraded: a long reason", "2"],
    ];
    expect(formatTable(withStatus, rows, Number.POSITIVE_INFINITY)).toBe(
      "NAME  STATUS    JOBS\na     online    1\nb     degraded: a long reason  2\n",
    );
    expect(formatTable(withStatus, rows, 24)).toBe(
      "NAME  STATUS        JOBS\na     online        1\nb     degraded: a…  2\n",
    );
  });

  test("takes from the widest flexible column first: one long name leaves the others readable", () => {
    const agents = "gpu-1, gpu-2, gpu-3, gpu-4";
    const lines = formatTable(columns, [["x".repeat(200), "9.1 GB", agents]], 80).split("\n");
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    expect(lines[1]).toEndWith(`  9.1 GB  ${agents}`);
  });

  test("wraps the last flexible column first, between words", () => {
    expect(formatTable(columns, [["phi4:latest", "9.1 GB", "gpu-1, gpu-2, gpu-3"]], 36)).toBe(
      "NAME           SIZE  AGENTS\nphi4:latest  9.1 GB  gpu-1, gpu-2,\n                     gpu-3\n",
    );
  });

  test("cuts a column that may be cut, and leaves out the least important ones before it gives way too far", () => {
    const cutting = [
      { title: "NAME", flexible: true, cut: true, minimum: 8 },
      { title: "SIZE", align: "right", leaveOut: 1 },
      { title: "ID", leaveOut: 2 },
      { title: "STATE" },
    ] as const;
    const rows = [["a-long-name", "9.1 GB", "ac896e", "running"]];
    expect(formatTable(cutting, rows, 36)).toBe(
      "NAME          SIZE  ID      STATE\na-long-name  9.1 GB  ac896e  running\n".replace(
        "NAME          SIZE",
        "NAME           SIZE",
      ),
    );
    expect(formatTable(cutting, rows, 34)).toBe(
      "NAME         SIZE  ID      STATE\na-long-n…  9.1 GB  ac896e  running\n",
    );
    expect(formatTable(cutting, rows, 30)).toBe("NAME           SIZE  STATE\na-long-name  9.1 GB  running\n");
    expect(formatTable(cutting, rows, 20)).toBe("NAME         STATE\na-long-name  running\n");
    expect(formatTable(cutting, rows, 15)).toBe("NAME    STATE\na-lon…  running\n");
  });

  test("colors cells by what they mean, also where one is cut or wrapped", () => {
    const toned = [
      { title: "A", flexible: true, cut: true, minimum: 4, tone: () => "bad" as const },
      { title: "B", flexible: true, tone: () => "good" as const },
    ] as const;
    const text = formatTable(toned, [["a-long-name", "one two three four"]], 22, colored);
    expect(Bun.stripANSI(text)).toBe(
      "A        B\na-long-…  one two\n          three four\n".replace("A        B", "A         B"),
    );
    expect(text).toContain("\u001b[31ma-long-…\u001b[39m");
    expect(text).toContain("\u001b[32mone two\u001b[39m");
    expect(text).toContain("\u001b[32mthree four\u001b[39m");
  });
});

test.each([
  ["hub.example:5000 has no model f/nope:latest. Check the name and the tag", "5m ago: no such model"],
  ['Cannot pull "phi4:latest" on gpu-1: 9.1 GB needed, 4.0 GB free', "5m ago: 9.1 GB needed, 4.0 GB free"],
  ["registry.ollama.ai: no such host", "5m ago: no such host"],
])("summarizeJob() begins with what the row does not show already: %s", (error, text) => {
  const job = jobOf({ state: "failed", error, ended_at: "2026-01-02T03:04:05Z" });
  expect(summarizeJob(job, Date.parse("2026-01-02T03:09:05Z"))).toBe(text);
});
