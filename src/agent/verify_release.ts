// `gpu-agent verify-release`: whether a release folder is what a trusted key signed, before anything of it runs.
import { join } from "node:path";
import { CourierError } from "../base/errors.ts";

/** What the lines of the keys file name, and what the signatures are for. */
const SIGNER = "gpu-courier-release";
export const RELEASE_KEYS = "/etc/gpu-courier/release_keys";
const SUMS = "SHA256SUMS";
const MAX_SUMS_BYTES = 1_000_000;
const VERIFY_WITHIN_MS = 10_000;
const PACKAGES = "Install openssh-client (Debian, Ubuntu) or openssh-clients (Fedora, RHEL)";
const NEWER = "Update OpenSSH to 8.1 or later";
const AGAIN = "Fetch the release again from where it is published, and do not run its install.sh";

export interface VerifiedRelease {
  /** How many files it has. */
  readonly files: number;
  /** The key, as ssh-keygen describes it: `ED25519 key SHA256:…`. */
  readonly signer: string;
}

/**
 * Verifies the signature of a release and each of its files.
 * @param folder with SHA256SUMS and SHA256SUMS.sig
 * @param keys the keys that may sign, in the form of `allowed_signers` of ssh-keygen
 * @throws CourierError `unauthenticated` when none of the keys signed it; `invalid` when a file is another one; `not_found`;
 *   `unimplemented` without ssh-keygen
 */
export async function verifyRelease(folder: string, keys: string): Promise<VerifiedRelease> {
  const sums = await readSums(join(folder, SUMS));
  if (!(await Bun.file(keys).exists())) {
    throw new CourierError("not_found", `Cannot verify a release: there is no ${keys}`, {
      hint: "The first signed release that install.sh installs brings it; --keys names another file",
    });
  }
  const signer = await verifySignature(sums, join(folder, `${SUMS}.sig`), keys);
  const files = parseSums(new TextDecoder().decode(sums));
  for (const [name, sum] of files) await verifyFile(join(folder, name), sum);
  return { files: files.length, signer };
}

async function readSums(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const file = Bun.file(path);
  if (!(await file.exists())) {
    throw new CourierError("not_found", `Cannot verify a release: there is no ${path}`, {
      hint: "Give the folder of the release",
    });
  }
  if (file.size > MAX_SUMS_BYTES) throw new CourierError("invalid", `Cannot verify ${path}: it is too large`);
  return new Uint8Array(await file.arrayBuffer());
}

/** @returns the key that signed these bytes */
async function verifySignature(signed: Uint8Array<ArrayBuffer>, signature: string, keys: string): Promise<string> {
  if (!(await Bun.file(signature).exists())) {
    throw new CourierError("unauthenticated", `The release is not signed: there is no ${signature}`, { hint: AGAIN });
  }
  if (Bun.which("ssh-keygen") === null) {
    throw new CourierError("unimplemented", "Cannot verify a signature: ssh-keygen is missing", { hint: PACKAGES });
  }
  const command = ["ssh-keygen", "-Y", "verify", "-f", keys, "-I", SIGNER, "-n", SIGNER, "-s", signature];
  const child = Bun.spawn(command, { stdio: [signed, "pipe", "pipe"], timeout: VERIFY_WITHIN_MS });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const signer = /with (\S+ key SHA256:\S+)/.exec(stdout)?.[1];
  if (status === 0 && signer !== undefined) return signer;
  if (stderr.includes("option -- Y"))
    throw new CourierError("unimplemented", "Cannot verify a signature: ssh-keygen is too old", { hint: NEWER });
  throw new CourierError("unauthenticated", `${signature} is not by a key in ${keys}`, { hint: AGAIN });
}

/** Each file's name and digest. Their author is known by now, but a path must not lead out of the folder. */
function parseSums(text: string): readonly (readonly [name: string, sum: string])[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [, sum, name] = /^([0-9a-f]{64}) [ *]([A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*)$/.exec(line) ?? [];
      if (sum !== undefined && name !== undefined && !name.split("/").includes("..")) return [name, sum];
      throw new CourierError("invalid", `Cannot read ${SUMS}: a line is not a digest and the name of a file`);
    });
}

async function verifyFile(path: string, sum: string): Promise<void> {
  const file = Bun.file(path);
  const facts = await file.stat().catch(() => null);
  if (facts?.isFile() !== true) throw new CourierError("not_found", `There is no file ${path}`, { hint: AGAIN });
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of file.stream()) hasher.update(chunk);
  const found = hasher.digest("hex");
  if (found === sum) return;
  throw new CourierError("invalid", `Wrong checksum: ${path} is ${found}, the release says ${sum}`, { hint: AGAIN });
}
