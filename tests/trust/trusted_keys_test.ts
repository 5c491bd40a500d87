// The trusted_keys file: its lines, and how it is read again.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createPublicKey } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRawKey, publicLine } from "#src/trust/keys.ts";
import { isSignedBy } from "#src/trust/signature.ts";
import { parseTrustedKeys } from "#src/trust/trusted_keys.ts";
import { TrustedKeysFile } from "#src/trust/trusted_keys_file.ts";
import { testKey } from "./test_key.ts";

/** Only root can give files away. */
const IS_ROOT = process.getuid?.() === 0;
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
    ["a day that does not exist", `${OTHER} not-after=2099-02-31`, 'line 2: "2099-02-31" is not a date'],
    ["two limits of one kind", `${OTHER} verbs=ping verbs=pull_model`, 'line 2: it has "verbs=" twice'],
    ["a limit behind #", `${OTHER} # verbs=ping`, 'line 2: "verbs=ping" is behind #'],
    [
      "a limit in a word that begins with #",
      `${OTHER} #not-after=2027-06-01`,
      'line 2: "#not-after=2027-06-01" is behind #',
    ],
    ["the key of another line", `${LINE}-again verbs=ping`, "line 2: it has the key of line 1"],
  ])("refuses a file with %s, and names the line", (_, line, message) => {
    expect(() => parseTrustedKeys(`${LINE}\n${line}\n`)).toThrow(message);
  });
});

test("parseTrustedKeys() takes # inside a word for a part of it, and a line that begins with it for a remark", () => {
  const text = `#ed25519 x verbs=ping\n # ${OTHER} verbs=ping\n${LINE}#home verbs=ping\n`;
  const [key] = parseTrustedKeys(text).values();
  expect([key?.comment, [...(key?.verbs ?? [])]]).toEqual(["server@platform#home", ["ping"]]);
});

describe("a key of low order", () => {
  const POINTS = [
    "00".repeat(32),
    `01${"00".repeat(31)}`,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    `ec${"ff".repeat(30)}7f`,
    `ed${"ff".repeat(30)}7f`,
    `ee${"ff".repeat(30)}7f`,
  ];

  test.each(POINTS)("is refused: %s, with either sign", (hex) => {
    for (const sign of [0, 0x80]) {
      const raw = Buffer.from(hex, "hex");
      raw[31] = (raw[31] ?? 0) | sign;
      expect(() => parseTrustedKeys(`ed25519 ${raw.toString("base64")} a`)).toThrow("anybody could sign");
    }
  });

  test("would let anybody sign: with the point of order 1, one signature fits every text", () => {
    const identity = Buffer.from(POINTS[1] ?? "", "hex");
    const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), identity]);
    const key = { id: "0".repeat(16), key: createPublicKey({ key: der, format: "der", type: "spki" }) };
    // R is the point of order 1, and S is 0.
    const value = Buffer.concat([identity, Buffer.alloc(32)]);
    expect(isSignedBy("command", { keyId: key.id, value, signed: '{"any":"text"}' }, key)).toBe(true);
    expect(parseRawKey(identity.toString("base64"))).toBeNull();
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

  test("shows its keys as lines that can be used again", () => {
    writeFileSync(
      path,
      `# Ours\n${LINE}\n${OTHER} not-after=2027-06-01 # until then\ned25519 ${publicLine(testKey(3), "").split(" ")[1]}`,
    );
    const keys = new TrustedKeysFile(path);
    const lines = keys.lines();
    expect(lines.slice(0, 2)).toEqual([LINE, `${OTHER} not-after=2027-06-01`]);
    expect([...parseTrustedKeys(lines.join("\n"))]).toEqual([...parseTrustedKeys(readFileSync(path, "utf8"))]);
    rmSync(path);
    expect(() => keys.lines()).toThrow("Cannot use the trusted keys");
  });

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

  const unsafe: readonly (readonly [what: string, spoil: () => void, reason: string, fix: string])[] = [
    [
      "its group may write to",
      () => chmodSync(path, 0o664),
      "others than its owner may write to it (mode 0664)",
      "chmod go-w",
    ],
    [
      "everybody may write to",
      () => chmodSync(path, 0o602),
      "others than its owner may write to it (mode 0602)",
      "chmod go-w",
    ],
    [
      "belongs to another user",
      () => chownSync(path, 1234, 0),
      "it belongs to user 1234, who is neither root nor the agent's",
      "chown root",
    ],
  ];

  test.each(IS_ROOT ? unsafe : unsafe.slice(0, 2))(
    "trusts no key of a file that %s, and recovers",
    (_, spoil, ...why) => {
      const [reason, fix] = why;
      writeFileSync(path, `${LINE}\n`);
      const keys = new TrustedKeysFile(path);
      expect(keys.trouble).toBeNull();
      spoil();
      expect(keys.find(testKey(1).id)).toBeUndefined();
      expect(keys.trouble).toMatchObject({ message: `Cannot use the trusted keys in ${path}: ${reason}` });
      expect(keys.trouble?.hint).toContain(`${fix} ${path}`);
      if (IS_ROOT) chownSync(path, 0, 0);
      chmodSync(path, 0o600);
      expect([keys.find(testKey(1).id)?.comment, keys.trouble]).toEqual(["server@platform", null]);
    },
  );

  const unsafeFolders: readonly (readonly [what: string, spoil: (folder: string) => void, reason: string])[] = [
    [
      "its group may write to",
      (folder) => chmodSync(folder, 0o770),
      "others than its owner may write to it (mode 0770)",
    ],
    [
      "everybody may write to",
      (folder) => chmodSync(folder, 0o703),
      "others than its owner may write to it (mode 0703)",
    ],
    [
      "belongs to another user",
      (folder) => chownSync(folder, 1234, 0),
      "it belongs to user 1234, who is neither root nor the agent's",
    ],
  ];

  /** `above/folder/trusted_keys`; and a link to it, as a person may have made it. */
  function inFolders(): {
    readonly above: string;
    readonly folder: string;
    readonly file: string;
    readonly link: string;
  } {
    const [above, folder, link] = [join(dir, "above"), join(dir, "above", "folder"), join(dir, "link")];
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const file = join(folder, "trusted_keys");
    writeFileSync(file, `${LINE}\n`);
    symlinkSync(file, link);
    return { above, folder, file, link };
  }

  test.each(IS_ROOT ? unsafeFolders : unsafeFolders.slice(0, 2))(
    "trusts no key of a file in a folder that %s, also far above and behind a link, and recovers",
    (_, spoil, reason) => {
      const { above, folder, file, link } = inFolders();
      for (const given of [file, link])
        for (const spoiled of [above, folder]) {
          const keys = new TrustedKeysFile(given);
          expect(keys.find(testKey(1).id)?.comment).toBe("server@platform");
          spoil(spoiled);
          expect(keys.find(testKey(1).id)).toBeUndefined();
          expect(keys.trouble?.message).toBe(
            `Cannot use the trusted keys in ${given}: its folder ${spoiled} is not safe: ${reason}`,
          );
          expect(keys.trouble?.hint).toEndWith(` ${spoiled}`);
          if (IS_ROOT) chownSync(spoiled, 0, 0);
          chmodSync(spoiled, 0o755);
          expect([keys.find(testKey(1).id)?.comment, keys.trouble]).toEqual(["server@platform", null]);
        }
    },
  );

  test("trusts a file below a folder with the sticky bit, such as /tmp: others cannot replace what is not theirs", () => {
    const { above, file } = inFolders();
    chmodSync(above, 0o1777);
    expect(new TrustedKeysFile(file).count).toBe(1);
  });

  test("trusts a file of the agent's user, also when root looks", () => {
    writeFileSync(path, `${LINE}\n`);
    if (IS_ROOT) chownSync(path, 1234, 0);
    expect(new TrustedKeysFile(path, IS_ROOT ? 1234 : undefined).count).toBe(1);
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
