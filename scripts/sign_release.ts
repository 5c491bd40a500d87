// `npm run release:sign -- KEY`: signs the release in dist/ with a private key of ssh-keygen, and verifies it as machines do.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { verifyRelease } from "../src/agent/verify_release.ts";
import { printError } from "../src/program/exit.ts";
import { ROOT } from "./binaries.ts";

const USAGE =
  "npm run release:sign -- KEY [FOLDER]: KEY is the path of the private key, FOLDER the release (default: dist)";
const NAMESPACE = "gpu-courier-release";

/** @returns the exit status */
async function main(args: readonly string[]): Promise<number> {
  const [key, folder = join(ROOT, "dist"), ...more] = args;
  if (key === undefined || more.length > 0) {
    process.stderr.write(`${USAGE}\n`);
    return 64;
  }
  const [sums, keys] = [join(folder, "SHA256SUMS"), join(folder, "systemd/release_keys")];
  // ssh-keygen asks before it replaces one.
  await rm(`${sums}.sig`, { force: true });
  const command = ["ssh-keygen", "-Y", "sign", "-f", key, "-n", NAMESPACE, sums];
  // It may ask for a passphrase.
  const signing = Bun.spawn(command, { stdio: ["inherit", "inherit", "inherit"] });
  if ((await signing.exited) !== 0) return 1;
  try {
    const { files, signer } = await verifyRelease(folder, keys);
    process.stdout.write(`${folder}: ${files} files signed with ${signer}\n`);
  } catch (error) {
    await rm(`${sums}.sig`, { force: true });
    process.stderr.write(`The signature is removed. The key's line must be in systemd/release_keys when you build\n`);
    return printError(error);
  }
  if ((await countKeys(keys)) < 2) {
    process.stderr.write(
      "Warning: systemd/release_keys has one key. Add a second one: without it a lost key cannot be replaced\n",
    );
  }
  return 0;
}

async function countKeys(path: string): Promise<number> {
  const lines = (await Bun.file(path).text()).split("\n");
  return lines.filter((line) => line.startsWith(`${NAMESPACE} `)).length;
}

process.exitCode = await main(process.argv.slice(2));
