// `npm run build`: dist/gpu-agent, dist/gpu-server and dist/gpuctl for this machine, and dist/SHA256SUMS. Imports binaries.
import { rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { formatTable } from "../src/client/table.ts";
import { BINARIES, type Binary, buildBinary, ROOT } from "./binaries.ts";

const DIST = join(ROOT, "dist");
const COLUMNS = [
  { title: "FILE" },
  { title: "SIZE", align: "right" },
  { title: "TIME", align: "right" },
  { title: "SHA-256" },
] as const;

interface Built {
  readonly file: string;
  readonly bytes: number;
  readonly durationMs: number;
  readonly sha256: string;
}

async function build(binary: Binary): Promise<Built> {
  const startedMs = performance.now();
  const file = Bun.file(join(DIST, binary.name));
  await buildBinary(binary, join(DIST, binary.name));
  const durationMs = performance.now() - startedMs;
  const sha256 = new Bun.CryptoHasher("sha256").update(await file.arrayBuffer()).digest("hex");
  return { file: binary.name, bytes: file.size, durationMs, sha256 };
}

function row({ file, bytes, durationMs, sha256 }: Built): string[] {
  const path = relative(ROOT, join(DIST, file));
  return [path, `${(bytes / 1e6).toFixed(1)} MB`, `${Math.round(durationMs)} ms`, `${sha256.slice(0, 12)}…`];
}

await rm(DIST, { recursive: true, force: true });
const built: Built[] = [];
for (const binary of BINARIES) built.push(await build(binary));
await Bun.write(join(DIST, "SHA256SUMS"), built.map(({ sha256, file }) => `${sha256}  ${file}\n`).join(""));
process.stdout.write(formatTable(COLUMNS, built.map(row), Number.POSITIVE_INFINITY));
