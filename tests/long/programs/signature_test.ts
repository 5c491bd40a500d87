// Signed releases: what install.sh and `gpu-agent verify-release` accept, and what `npm run release:sign` makes.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { appendFile, chmod, cp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { verifyRelease } from "#src/agent/verify_release.ts";
import { Installer } from "#tests/release/installer.ts";
import { failure } from "#tests/support/failure.ts";

const ROOT = join(import.meta.dir, "../../..");
const SIGNER = "gpu-courier-release";
/** Two that may sign, and one that may not. */
const NAMES = ["first", "second", "stranger"] as const;
const TRUSTED = NAMES.slice(0, 2);

const folder = mkdtempSync(join(tmpdir(), "gpu-courier-keys-"));
let lines = "";
let installer: Installer;

async function run(...command: readonly string[]): Promise<{ status: number; text: string }> {
  return await runWith(process.env["PATH"] ?? "", ...command);
}

async function runWith(path: string, ...command: readonly string[]): Promise<{ status: number; text: string }> {
  const child = Bun.spawn([...command], { env: { PATH: path }, stdio: ["ignore", "pipe", "pipe"] });
  const texts = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, text: texts.join("") };
}

async function sign(name: (typeof NAMES)[number], namespace = SIGNER): Promise<void> {
  const sums = join(installer.release, "SHA256SUMS");
  await rm(`${sums}.sig`, { force: true });
  const { status, text } = await run("ssh-keygen", "-Y", "sign", "-f", join(folder, name), "-n", namespace, sums);
  if (status !== 0) throw new Error(text);
}

/** Another agent, with sums that fit. */
async function forge(): Promise<void> {
  await appendFile(join(installer.release, "gpu-agent"), "# forged\n");
  await installer.sum();
}

beforeAll(async () => {
  for (const name of NAMES) await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(folder, name));
  for (const name of TRUSTED)
    lines += `${SIGNER} namespaces="${SIGNER}" ${await Bun.file(join(folder, `${name}.pub`)).text()}`;
});
afterAll(async () => await rm(folder, { recursive: true }));
beforeEach(async () => {
  installer = new Installer();
  await installer.stock();
  await appendFile(join(installer.release, "systemd/release_keys"), lines);
  await installer.sum();
});
afterEach(async () => await installer.close());

describe("install.sh before it has keys", () => {
  test("takes an unsigned release, and brings no keys", async () => {
    const check = 'check_signature; echo "signed=$signed brings=$brings_keys"';
    expect(await installer.functions(check)).toEqual({ status: 0, stdout: "signed= brings=\n", stderr: "" });
  });

  test("takes a signed release, shows that and brings its keys", async () => {
    await sign("first");
    const { status, stdout, stderr } = await installer.install("--dry-run", "--no-start", "--share", installer.dir);
    expect([status, stderr.includes("Cannot")]).toEqual([0, false]);
    expect(stdout).toContain("checksums and signature verified");
    expect(stdout).toContain(`write ${installer.config}/release_keys\n`);
  });

  test("refuses a release that is signed by a key that it does not list", async () => {
    await sign("stranger");
    const { status, stderr } = await installer.install("--version");
    expect([status, stderr]).toEqual([65, expect.stringContaining("is not by a key in")]);
  });
});

test("install.sh puts the keys of the first signed release on the machine, and leaves them alone later", async () => {
  await sign("first");
  const install = `
    chown() { :; }
    install() { for folder; do :; done; mkdir -p "$folder"; }
    set_role; prefix=$root/prefix state=$root/state variant='' version=1.2.3 old_unit='' changes=0 backups=0 replaced=''
    check_signature && verify "systemd/$settings" "$temp/$settings" && begin && install_files && commit`;
  expect(await installer.functions(install)).toMatchObject({ status: 0, stderr: "" });
  expect(await installer.read("etc/THIRD_PARTY_LICENSES")).toBe("Of what the programs hold\n");
  expect(await installer.read("etc/release_keys")).toBe(await installer.read("release/systemd/release_keys"));
  const [first = ""] = lines.split("\n");
  await installer.write("etc/release_keys", `${first}\n`);
  expect(await installer.functions(install)).toMatchObject({ status: 0, stderr: "" });
  expect(await installer.read("etc/release_keys")).toBe(`${first}\n`);
});

describe("install.sh with keys", () => {
  beforeEach(async () => await installer.write("etc/release_keys", lines));

  test.each(TRUSTED)("takes a release that the %s key signed", async (name) => {
    await sign(name);
    expect(await installer.install("--version")).toEqual({ status: 0, stdout: "1.2.3\n", stderr: "" });
  });

  test.each<readonly [string, () => Promise<void>, string]>([
    ["unsigned", async () => undefined, "it is not signed: there is no SHA256SUMS.sig"],
    ["signed by a stranger", async () => await sign("stranger"), "is not by a key in"],
    ["signed for something else", async () => await sign("first", "file"), "is not by a key in"],
    ["changed after it was signed", async () => await sign("first").then(forge), "is not by a key in"],
  ])("refuses a release that is %s, before anything of it runs", async (_, make, problem) => {
    await make();
    const { status, stdout, stderr } = await installer.install("--version");
    expect([status, stdout, stderr]).toEqual([65, "", expect.stringContaining(problem)]);
    expect(stderr).toContain("--allow-unsigned");
    expect(await installer.has("ran")).toBe(false);
  });

  test("says loudly what it does with --allow-unsigned", async () => {
    const { status, stdout, stderr } = await installer.install("--version", "--allow-unsigned");
    expect([status, stdout]).toEqual([0, "1.2.3\n"]);
    expect(stderr).toContain("NOBODY VOUCHES FOR IT");
  });

  test("goes back to an unsigned release that was installed before, and to no other one", async () => {
    const made = await installer.functions(
      'mkdir -p "$keep"; check_signature; remember "$(release_record)"',
      "--allow-unsigned",
    );
    expect([made.status, await installer.read("keep/agent/made")]).toEqual([
      0,
      expect.stringMatching(/^release [0-9a-f]{64}\n$/),
    ]);
    expect(await installer.install("--version")).toEqual({
      status: 0,
      stdout: "1.2.3\n",
      stderr: expect.stringContaining("it was installed here before"),
    });
    await forge();
    expect((await installer.install("--version")).status).toBe(65);
  });

  test("refuses every other release without ssh-keygen, and names its package", async () => {
    await sign("first");
    const { status, stderr } = await installer.functions("command() { return 1; }; check_signature");
    expect([status, stderr]).toEqual([69, expect.stringContaining("install openssh-client")]);
  });
});

test("install.sh names a version of OpenSSH when ssh-keygen is too old", async () => {
  await installer.write("etc/release_keys", lines);
  await sign("first");
  await installer.write("bin/ssh-keygen", "#!/bin/sh\necho 'ssh-keygen: illegal option -- Y' >&2\nexit 1\n");
  await chmod(join(installer.dir, "bin/ssh-keygen"), 0o755);
  const { status, stderr } = await installer.functions("check_signature");
  expect([status, stderr]).toEqual([
    69,
    expect.stringContaining("ssh-keygen is too old to verify it: it needs OpenSSH 8.1"),
  ]);
});

describe("verifyRelease()", () => {
  const verify = async () => await verifyRelease(installer.release, join(folder, "keys"));
  beforeEach(async () => {
    await Bun.write(join(folder, "keys"), lines);
  });

  test("names the key, and counts the files", async () => {
    await sign("second");
    const files = (await installer.read("release/SHA256SUMS")).trimEnd().split("\n").length;
    expect(await verify()).toEqual({ files, signer: expect.stringMatching(/^ED25519 key SHA256:\S+$/) });
  });

  test.each<readonly [string, () => Promise<void>, string]>([
    ["an unsigned release", async () => undefined, "unauthenticated"],
    ["one that a stranger signed", async () => await sign("stranger"), "unauthenticated"],
    ["one that was signed for something else", async () => await sign("first", "file"), "unauthenticated"],
    ["one that was changed with its sums", async () => await sign("first").then(forge), "unauthenticated"],
    [
      "a file that was changed",
      async () => await sign("first").then(async () => await appendFile(join(installer.release, "install.sh"), "#")),
      "invalid",
    ],
    [
      "a file that is missing",
      async () => await sign("first").then(async () => await rm(join(installer.release, "gpuctl"))),
      "not_found",
    ],
    [
      "a name that leads out of the folder",
      async () => {
        await appendFile(join(installer.release, "SHA256SUMS"), `${"0".repeat(64)}  ../etc/passwd\n`);
        await sign("first");
      },
      "invalid",
    ],
  ])("refuses %s", async (_, make, code) => {
    await make();
    expect(await failure(verify())).toMatchObject({ code });
  });

  test("shows where keys come from on a machine without", async () => {
    await sign("first");
    const error = await failure(verifyRelease(installer.release, join(folder, "none")));
    expect([error.code, error.hint]).toEqual(["not_found", expect.stringContaining("--keys")]);
  });
});

describe("gpu-agent verify-release", () => {
  const agent = [process.execPath, join(ROOT, "src/agent.ts"), "verify-release"] as const;
  beforeEach(async () => {
    await Bun.write(join(folder, "keys"), lines);
    await sign("first");
  });

  test("prints what it verified", async () => {
    const { status, text } = await run(...agent, installer.release, "--keys", join(folder, "keys"));
    expect([status, text]).toEqual([
      0,
      expect.stringMatching(/^\S+: \d+ files verified, signed with ED25519 key SHA256:/),
    ]);
  });

  test("refuses an ssh-keygen that is too old, and names the version", async () => {
    const bin = join(installer.dir, "old");
    await installer.write("old/ssh-keygen", "#!/bin/sh\necho 'unknown option -- Y' >&2\nexit 1\n");
    await chmod(join(bin, "ssh-keygen"), 0o755);
    const { status, text } = await runWith(bin, ...agent, installer.release, "--keys", join(folder, "keys"));
    expect([status, text]).toEqual([69, expect.stringContaining("Update OpenSSH to 8.1 or later")]);
  });

  test("without ssh-keygen refuses, and names its package", async () => {
    const { status, text } = await runWith("/nowhere", ...agent, installer.release, "--keys", join(folder, "keys"));
    expect([status, text]).toEqual([69, expect.stringContaining("Install openssh-client")]);
  });
});

describe("npm run release:sign", () => {
  const signed = async (...args: readonly string[]) =>
    await run(process.execPath, join(ROOT, "scripts/sign_release.ts"), ...args);

  test("signs what machines accept, also again", async () => {
    for (const name of TRUSTED) {
      const { status, text } = await signed(join(folder, name), installer.release);
      expect([status, text]).toEqual([0, expect.stringMatching(/^\S+: \d+ files signed with ED25519 key SHA256:/m)]);
      expect(text).not.toContain("Warning");
    }
    expect((await installer.install("--version")).status).toBe(0);
  });

  test("leaves no signature by a key that the release does not list", async () => {
    expect((await signed(join(folder, "stranger"), installer.release)).status).toBe(77);
    expect(await installer.has("release/SHA256SUMS.sig")).toBe(false);
  });

  test("warns of a release that lists one key, which could not be replaced", async () => {
    await cp(join(ROOT, "systemd/release_keys"), join(installer.release, "systemd/release_keys"));
    await appendFile(join(installer.release, "systemd/release_keys"), `${lines.split("\n")[0]}\n`);
    await installer.sum();
    const { status, text } = await signed(join(folder, "first"), installer.release);
    expect([status, text]).toEqual([0, expect.stringContaining("Warning: systemd/release_keys has one key")]);
  });

  test("without a key shows its usage", async () => {
    expect(await signed()).toMatchObject({ status: 64, text: expect.stringContaining("npm run release:sign -- KEY") });
  });
});
