// `npm run build`: a release folder in dist/ for this machine: the binaries, install.sh, the files that it installs,
// a bill of materials, the licenses of what the binaries hold, and SHA256SUMS of it all. With --all: for every machine that a release is for, and gpuctl for macOS.
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { formatTable } from "#src/client/output/table.ts";
import { BINARIES, type Binary, buildBinary, ROOT } from "./binaries.ts";
import { thirdPartyLicenses } from "./release/licenses.ts";
import { checkMachO } from "./release/mach_o.ts";
import { describeParts } from "./release/sbom.ts";
import { OPERATOR_TARGETS, runtimeOf, TARGETS, type Target } from "./runtimes.ts";

const DIST = join(ROOT, "dist");
const RUNTIMES = join(ROOT, "node_modules", ".cache", "gpu-courier-runtimes");
/** The files that are released unchanged. */
const COPIED = ["install.sh", ...new Bun.Glob("systemd/*").scanSync({ cwd: ROOT })].toSorted();
const SBOM = "sbom.cdx.json";
const LICENSES = "THIRD_PARTY_LICENSES";
const COLUMNS = [
  { title: "FILE" },
  { title: "SIZE", align: "right" },
  { title: "TIME", align: "right" },
  { title: "SHA-256" },
] as const;

async function build(binary: Binary, target?: Target): Promise<string[]> {
  const name = target === undefined ? binary.name : `${binary.name}-${target.name}`;
  const path = join(DIST, name);
  const other = target && {
    target: target.compile,
    executablePath: await runtimeOf(target, RUNTIMES),
  };
  const startedMs = performance.now();
  await buildBinary(binary, path, other);
  const durationMs = performance.now() - startedMs;
  const size = `${(Bun.file(path).size / 1e6).toFixed(1)} MB`;
  return [name, size, `${Math.round(durationMs)} ms`, await sha256(name)];
}

async function sha256(name: string): Promise<string> {
  const content = await Bun.file(join(DIST, name)).arrayBuffer();
  return new Bun.CryptoHasher("sha256").update(content).digest("hex");
}

async function release(targets: readonly (Target | undefined)[], operators: readonly Target[]): Promise<void> {
  await rm(DIST, { recursive: true, force: true });
  const rows: string[][] = [];
  for (const target of targets) for (const binary of BINARIES) rows.push(await build(binary, target));
  const gpuctl = BINARIES.filter(({ name }) => name === "gpuctl");
  for (const target of operators)
    for (const binary of gpuctl) {
      const row = await build(binary, target);
      const program = await Bun.file(join(DIST, row[0] ?? "")).arrayBuffer();
      checkMachO(Buffer.from(program), target.name === "darwin-arm64" ? "arm64" : "x64", "GPU_COURIER_");
      rows.push(row);
    }
  for (const name of COPIED) {
    await cp(join(ROOT, name), join(DIST, name), { recursive: true });
    rows.push([name, "", "", await sha256(name)]);
  }
  await Bun.write(join(DIST, SBOM), await describeParts(ROOT, [...targets, ...operators]));
  await Bun.write(join(DIST, LICENSES), await thirdPartyLicenses(ROOT));
  for (const name of [SBOM, LICENSES]) rows.push([name, "", "", await sha256(name)]);
  await Bun.write(join(DIST, "SHA256SUMS"), rows.map(([name, , , sum]) => `${sum}  ${name}\n`).join(""));
  const shown = rows.map(([name, size, time, sum]) => [
    `dist/${name}`,
    size ?? "",
    time ?? "",
    `${sum?.slice(0, 12)}…`,
  ]);
  process.stdout.write(formatTable(COLUMNS, shown, Number.POSITIVE_INFINITY));
}

const flags = process.argv.slice(2);
if (flags.length === 0) await release([undefined], []);
else if (flags.join(" ") === "--all") await release(TARGETS, OPERATOR_TARGETS);
else {
  process.stderr.write(`Unknown: ${flags.join(" ")}. Give --all to build for every machine, or nothing\n`);
  process.exitCode = 64;
}
