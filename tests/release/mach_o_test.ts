// What the build looks for in the programs for macOS, which no machine here can start.
import { describe, expect, test } from "bun:test";
import lock from "../../package-lock.json" with { type: "json" };
import { checkMachO } from "../../scripts/release/mach_o.ts";
import { OPERATOR_TARGETS } from "../../scripts/runtimes.ts";

const PAGE = 4096;
const MARKER = "GPU_COURIER_";
const ARM64 = 0x0100000c;

/** The smallest program that passes: a header, a page of sources, and a signature over both. */
function program({ cpu = ARM64, sources = `x ${MARKER} ---- Bun! ----`, signs = true } = {}): Buffer {
  const file = Buffer.alloc(3 * PAGE);
  for (const [index, word] of [0xfeedfacf, cpu, 0, 2, signs ? 2 : 1, 88].entries()) file.writeUInt32LE(word, index * 4);
  file.writeUInt32LE(0x19, 32);
  file.writeUInt32LE(72, 36);
  file.write("__BUN", 40, "latin1");
  file.writeBigUInt64LE(BigInt(PAGE), 32 + 40);
  file.writeBigUInt64LE(BigInt(PAGE), 32 + 48);
  file.write(sources, PAGE, "latin1");
  if (!signs) return file;
  for (const [index, word] of [0x1d, 16, 2 * PAGE, PAGE].entries()) file.writeUInt32LE(word, 32 + 72 + index * 4);
  sign(file, 2 * PAGE);
  return file;
}

function sign(file: Buffer, at: number): void {
  for (const [index, word] of [0xfade0cc0, PAGE, 1, 0, 20].entries()) file.writeUInt32BE(word, at + index * 4);
  const directory = at + 20;
  const words = [0xfade0c02, 200, 0x20400, 2, 48, 44, 0, 2, 2 * PAGE];
  for (const [index, word] of words.entries()) file.writeUInt32BE(word, directory + index * 4);
  file.set([32, 2, 0, 12], directory + 36);
  for (const page of [0, 1]) {
    const content = file.subarray(page * PAGE, (page + 1) * PAGE);
    file.set(new Bun.CryptoHasher("sha256").update(content).digest(), directory + 48 + page * 32);
  }
}

function changed(change: (file: Buffer) => void): Buffer {
  const file = program();
  change(file);
  return file;
}

describe("checkMachO()", () => {
  test("passes a signed program for ARM, and one for x64 without a signature of its own", () => {
    expect(() => checkMachO(program(), "arm64", MARKER)).not.toThrow();
    expect(() => checkMachO(program({ cpu: 0x01000007, signs: false }), "x64", MARKER)).not.toThrow();
  });

  test.each([
    ["a program for Linux", changed((file) => file.write("\x7fELF", 0, "latin1")), "no 64-bit Mach-O"],
    ["another processor", program({ cpu: 0x01000007 }), "not for arm64"],
    ["a library", changed((file) => file.writeUInt32LE(6, 12)), "no program"],
    ["no sources", program({ sources: "" }), "other sources"],
    ["the sources of another program", program({ sources: "---- Bun! ----" }), "other sources"],
    ["no signature", program({ signs: false }), "no signature"],
    ["a change after it was signed", changed((file) => file.write("y", PAGE, "latin1")), "another digest of page 1"],
    ["its end missing", program().subarray(0, 2 * PAGE + 100), "ends too early"],
  ])("refuses %s", (_, file, message) => {
    expect(() => checkMachO(file, "arm64", MARKER)).toThrow(message);
  });
});

test("the runtimes for operators' machines are those that the lockfile knows", () => {
  const packages: Readonly<Record<string, { version?: string; integrity?: string }>> = lock.packages;
  for (const target of OPERATOR_TARGETS) {
    const entry = packages[`node_modules/${target.package}`];
    expect([entry?.version, entry?.integrity]).toEqual([Bun.version, target.integrity]);
  }
  expect(OPERATOR_TARGETS.map(({ name }) => name)).toEqual(["darwin-x64", "darwin-arm64"]);
});
