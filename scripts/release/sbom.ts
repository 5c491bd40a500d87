// The software bill of materials of a release, as CycloneDX: the packages in its programs, by `npm sbom`, and the Bun that they
// hold.
import { z } from "zod";
import manifest from "../../package.json" with { type: "json" };
import type { Target } from "../runtimes.ts";

const COMMAND = ["npm", "sbom", "--sbom-format=cyclonedx", "--omit=dev", "--package-lock-only", "--loglevel=error"];

const Document = z.looseObject({
  serialNumber: z.string(),
  metadata: z.looseObject({ timestamp: z.string(), component: z.looseObject({ name: z.string() }) }),
  components: z.array(z.looseObject({})),
});

/**
 * Describes a release.
 * @param root of the checkout
 * @param targets the machines that it is for; undefined: this one
 * @returns the document: the same for the same release
 * @throws Error when npm cannot list the packages of the lockfile
 */
export async function describeParts(root: string, targets: readonly (Target | undefined)[]): Promise<string> {
  const child = Bun.spawn(COMMAND, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const [text, problem, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`npm sbom ends with status ${status}\n${problem.trim()}`);
  const { serialNumber: _number, metadata, components, ...rest } = Document.parse(JSON.parse(text));
  const { timestamp: _time, component, ...about } = metadata;
  const described = {
    ...rest,
    // npm takes the name from the folder.
    metadata: { ...about, component: { ...component, name: manifest.name } },
    components: [...components, ...targets.map(describeRuntime)],
  };
  return `${JSON.stringify(described, null, 2)}\n`;
}

function describeRuntime(target: Target | undefined) {
  const name = target?.package ?? "bun";
  const version = Bun.version;
  return {
    "bom-ref": `${name}@${version}`,
    type: "platform",
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    properties: [{ name: "revision", value: Bun.revision }],
    licenses: [{ license: { id: "MIT" } }],
    ...(target && { hashes: [{ alg: "SHA-512", content: hexOf(target.integrity) }] }),
  };
}

function hexOf(integrity: string): string {
  return Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex");
}
