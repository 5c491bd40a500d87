// The trusted_keys file: its lines, and how it is read again.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publicLine } from "#src/trust/keys.ts";
import { parseTrustedKeys } from "#src/trust/trusted_keys.ts";
import { TrustedKeysFile } from "#src/trust/trusted_keys_file.ts";
import { testKey } from "./test_key.ts";

const LINE = publicLine(testKey(1), "server@platform");
const OTHER = publicLine(testKey(2), "alice@laptop");
const [, RAW = ""] = LINE.split(" ");

describe("parseTrustedKeys()", () => {
  test("reads keys, their limits and comments", () => {
    const text = `# The platform\n\n${LINE}\r\n  ${OTHER} verbs=pull_model,cancel_job not-after=2027-06-01 # until then\n`;
    const keys = [...parseTrustedKeys(text).values()].map(({ id, comment, verbs, endsAtMs }) => {
      return { id, comment, verbs: verbs === null ? null : [...verbs], endsAtMs };
    });
    expect(keys).toEqual([
      { id: testKey(1).id, comment: "server@platform", verbs: null, endsAtMs: null },
      {
        id: testKey(2).id,
        comment: "alice@laptop",
        verbs: ["pull_model", "cancel_job"],
        endsAtMs: Date.parse("2027-06-02T00:00:00Z"),
      },
    ]);
  });

  test.each([
    ["another type", `ssh-ed25519 ${RAW} a`, "line 2: it does not begin with ed25519"],
    [
      "a key that is too short",
      `ed25519 ${RAW.slice(4)} a`,
      "line 2: its key is not the base64 of 32 bytes, in 44 characters",
    ],
    ["a key in URL-safe base64", `ed25519 ${"_".repeat(43)}= a`, "line 2: its key is not the base64"],
    ["a key with bits that count for nothing", `ed25519 ${"A".repeat(42)}B= a`, "line 2: its key is not the base64"],
    ["no key", "ed25519", "line 2: its key is not the base64"],
    ["a verb that does not exist", `${OTHER} verbs=pull_model,format_disk`, 'line 2: "format_disk" is not a verb'],
    ["no verb", `${OTHER} verbs=`, 'line 2: "" is not a verb'],
    ["a date that does not exist", `${OTHER} not-after=2027-13-01`, 'line 2: "2027-13-01" is not a date'],
    ["a time", `${OTHER} not-after=2027-06-01T00:00`, 'line 2: "2027-06-01T00:00" is not a date'],
    [
      "a limit of a later release",
      `${OTHER} from=10.0.0.1`,
      'line 2: "from=10.0.0.1" is not verbs=... or not-after=...',
    ],
    ["the key of another line", `${LINE}-again verbs=ping`, "line 2: it has the key of line 1"],
  ])("refuses a file with %s, and names the line", (_, line, message) => {
    expect(() => parseTrustedKeys(`${LINE}\n${line}\n`)).toThrow(message);
  });
});

describe("TrustedKeysFile", () => {
  let dir: string;
  let path: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "trusted-keys-"));
    path = join(dir, "trusted_keys");
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test("find() knows a key that was added, and no longer one that was removed", () => {
    writeFileSync(path, `${LINE}\n`);
    const keys = new TrustedKeysFile(path);
    expect([keys.find(testKey(1).id)?.comment, keys.find(testKey(2).id)]).toEqual(["server@platform", undefined]);
    writeFileSync(`${path}.new`, `${OTHER}\n`);
    renameSync(`${path}.new`, path);
    expect([keys.find(testKey(1).id), keys.find(testKey(2).id)?.comment]).toEqual([undefined, "alice@laptop"]);
  });

  test.each([
    ["is missing", null, "ENOENT"],
    ["is empty", "# none yet\n", "it has no key"],
    ["has a wrong line", `${LINE}\nssh-rsa AAAA\n`, "line 2: it does not begin with ed25519"],
    ["is too large", `${LINE}\n${"#".repeat(256 * 1024)}`, "it is larger than 256 KiB"],
  ])("trusts no key while the file %s, and recovers", (_, text, reason) => {
    if (text !== null) writeFileSync(path, text);
    const keys = new TrustedKeysFile(path);
    expect(keys.trouble).toMatchObject({
      code: "unavailable",
      message: `Cannot use the trusted keys in ${path}: ${reason}`,
    });
    expect(keys.find(testKey(1).id)).toBeUndefined();
    writeFileSync(path, `${LINE}\n`);
    expect([keys.find(testKey(1).id)?.comment, keys.trouble]).toEqual(["server@platform", null]);
  });

  test("trusts no key of a file that becomes unreadable", () => {
    writeFileSync(path, `${LINE}\n`);
    const keys = new TrustedKeysFile(path);
    rmSync(path);
    expect([keys.find(testKey(1).id), keys.trouble?.message]).toEqual([
      undefined,
      `Cannot use the trusted keys in ${path}: ENOENT`,
    ]);
  });
});
