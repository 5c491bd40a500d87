// The format of log lines.
import { expect, test } from "bun:test";
import { openLog } from "#src/program/log.ts";

function logged(fields: object, message: string): string {
  const lines: string[] = [];
  openLog("info", "text", (line) => lines.push(line)).info(fields, message);
  return lines.join("");
}

test("openLog() writes a message and its fields as one line of text", () => {
  const [time = "", ...rest] = logged({ agent: "gpu-1", reason: "no room" }, "Ready").split(" ");
  expect(new Date(time).toISOString()).toBe(time);
  expect(rest.join(" ")).toBe('info  Ready agent=gpu-1 reason="no room"\n');
});

test.each(["text", "json"] as const)(
  "openLog() escapes what has no width, or reverses the writing, as %s",
  (format) => {
    const lines: string[] = [];
    openLog("info", format, (line) => lines.push(line)).info({ name: "a\u200bb\u202e" }, "on\u{e0041}");
    expect(lines.join("")).toMatch(/^[ -~]+\n$/);
    expect(lines.join("")).toContain("a\\u200bb\\u202e");
  },
);

test("openLog() escapes control characters in quoted text", () => {
  const line = logged({ name: "a\u2028b\u009b31m\u202e" }, "on box\n2026 error forged\u001b[31m");
  expect(line).toEndWith('on box\\u000a2026 error forged\\u001b[31m name="a\\u2028b\\u009b31m\\u202e"\n');
  expect(line.split("\n").length).toBe(2);
});
