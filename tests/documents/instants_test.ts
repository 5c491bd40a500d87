// Times in documents: what agents send is shown only if a client can parse it.
import { expect, test } from "bun:test";
import { instant, isInstant } from "#src/documents/instants.ts";
import { jobDocument } from "#src/documents/jobs.ts";
import { modelDocument } from "#src/documents/models.ts";
import { newPull } from "#src/protocol.ts";

test.each([
  ["2026-01-02T03:04:05.678Z", true],
  ["2026-03-01T10:00:00.123456789+01:00", true],
  ["0001-01-01T00:00:00Z", true],
  ["2026-01-02T03:04:05", false],
  ["2026-13-02T03:04:05Z", false],
  ["2026-01-02", false],
  ["soon", false],
  ["", false],
])("isInstant(%p) is %p", (text, expected) => {
  expect(isInstant(text)).toBe(expected);
  expect(instant(text)).toBe(expected ? text : "1970-01-01T00:00:00Z");
});

test("jobDocument() returns the job itself, and null for each invalid time", () => {
  const job = { ...newPull("job-1", "gpu-1", "phi4:latest"), started_at: "2026-01-02T03:04:05Z" };
  expect(jobDocument(job)).toBe(job);
  const wrong = { ...job, ended_at: "yesterday", retry_at: "later", created_at: "2026" };
  expect(jobDocument(wrong)).toEqual({ ...job, ended_at: null, retry_at: null, created_at: null });
});

test("modelDocument() dates a model without a usable time to 1970", () => {
  const model = { name: "phi4:latest", size: 1, digest: "d", agents: ["gpu-1"], clockOffsetMs: 0 };
  expect(modelDocument({ ...model, modified_at: "x" }).modified_at).toBe("1970-01-01T00:00:00Z");
});
