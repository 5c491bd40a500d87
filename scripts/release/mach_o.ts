// Looks at a program for macOS, which cannot run here: its header, what Bun embedded in it, and its signature.

/** @see mach-o/loader.h and the Security framework's cs_blobs.h */
const MAGIC_64 = 0xfeedfacf;
const EXECUTE = 2;
const [LC_SEGMENT_64, LC_CODE_SIGNATURE] = [0x19, 0x1d];
const [SUPER_BLOB, CODE_DIRECTORY] = [0xfade0cc0, 0xfade0c02];
const SHA_256 = 2;
const CPUS: Readonly<Record<string, number>> = { x64: 0x01000007, arm64: 0x0100000c };
const TRAILER = "---- Bun! ----";

/** A part of the file. */
interface Range {
  readonly start: number;
  readonly size: number;
}

/**
 * @param cpu for which it should be
 * @param marker a text that the embedded sources hold
 * @throws Error that names what is wrong: a Mac would not start it, or it is not our program
 */
export function checkMachO(program: Buffer, cpu: "x64" | "arm64", marker: string): void {
  if (program.readUInt32LE(0) !== MAGIC_64) throw new Error("It is no 64-bit Mach-O file");
  if (program.readUInt32LE(4) !== CPUS[cpu]) throw new Error(`It is not for ${cpu}`);
  if (program.readUInt32LE(12) !== EXECUTE) throw new Error("It is no program");
  const { payload, signature } = partsOf(program);
  const embedded = bytesOf(program, payload, "no embedded sources");
  if (!embedded.includes(TRAILER) || !embedded.includes(marker)) throw new Error("It embeds other sources");
  // Bun signs only for ARM, where nothing starts without. For x64 it leaves the signature of the Bun that it copies.
  if (cpu === "arm64") checkSignature(program, bytesOf(program, signature, "no signature"));
}

function partsOf(program: Buffer): { readonly payload: Range | undefined; readonly signature: Range | undefined } {
  let payload: Range | undefined;
  let signature: Range | undefined;
  let offset = 32;
  for (let left = program.readUInt32LE(16); left > 0; left--) {
    const [command, size] = [program.readUInt32LE(offset), program.readUInt32LE(offset + 4)];
    if (command === LC_SEGMENT_64 && nameAt(program, offset + 8) === "__BUN")
      payload = {
        start: Number(program.readBigUInt64LE(offset + 40)),
        size: Number(program.readBigUInt64LE(offset + 48)),
      };
    if (command === LC_CODE_SIGNATURE)
      signature = { start: program.readUInt32LE(offset + 8), size: program.readUInt32LE(offset + 12) };
    offset += size;
  }
  return { payload, signature };
}

function nameAt(program: Buffer, offset: number): string {
  return program.toString("latin1", offset, offset + 16).replace(/\0+$/, "");
}

function bytesOf(program: Buffer, range: Range | undefined, missing: string): Buffer {
  if (range === undefined || range.size === 0) throw new Error(`It has ${missing}`);
  if (range.start + range.size > program.length) throw new Error("It ends too early");
  return program.subarray(range.start, range.start + range.size);
}

/** Each page has its digest in it: a Mac with an ARM processor kills a program with a wrong one. */
function checkSignature(program: Buffer, signature: Buffer): void {
  if (signature.readUInt32BE(0) !== SUPER_BLOB) throw new Error("Its signature cannot be read");
  const directory = signature.subarray(signature.readUInt32BE(16));
  if (directory.readUInt32BE(0) !== CODE_DIRECTORY) throw new Error("Its signature has no directory");
  const word = (offset: number): number => directory.readUInt32BE(offset);
  const byte = (offset: number): number => directory.readUInt8(offset);
  const [hashes, pages, limit] = [word(16), word(28), word(32)];
  const [hashBytes, kind, pageBits] = [byte(36), byte(37), byte(39)];
  if (kind !== SHA_256) throw new Error("Its signature has other digests than SHA-256");
  const pageBytes = 2 ** pageBits;
  if (pages !== Math.ceil(limit / pageBytes)) throw new Error("Its signature does not cover all pages");
  for (let page = 0; page < pages; page++) {
    const content = program.subarray(page * pageBytes, Math.min((page + 1) * pageBytes, limit));
    const digest = new Bun.CryptoHasher("sha256").update(content).digest();
    const listed = directory.subarray(hashes + page * hashBytes, hashes + (page + 1) * hashBytes);
    if (!digest.equals(listed)) throw new Error(`Its signature has another digest of page ${page}`);
  }
}
