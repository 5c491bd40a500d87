// A model's manifest: from a registry, from a disk, or made up from a name and sizes.
import { createHash } from "node:crypto";
import { z } from "zod";
import { type Name, nameKey, parseName } from "./name.ts";

/** One blob, the way Ollama names it: `digest` is `sha256:` and 64 hex digits, `size` in bytes. */
export const Layer = z.object({ digest: z.string(), size: z.number() });
export type Layer = Readonly<z.infer<typeof Layer>>;

export interface ModelSpec {
  /** As a person would pull it. */
  readonly name: string;
  /** Bytes of each layer, or a whole layer: models share what has one digest. */
  readonly layers: readonly (number | Layer)[];
  readonly config?: Layer;
  /** Of the manifest, in hex; made up from the layers when it is not given. */
  readonly digest?: string;
  /** More fields of `details` in `/api/tags`. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly capabilities?: readonly string[];
  /** More fields of `/api/show`. */
  readonly show?: Readonly<Record<string, unknown>>;
  /** The model runs elsewhere: the name there, and the address. */
  readonly remote?: { readonly model: string; readonly host: string };
  /** False: the content is no GGUF, and `/api/show` cannot read it. */
  readonly gguf?: boolean;
}

export interface Manifest {
  readonly name: Name;
  /** In the order of downloading, the config last. */
  readonly layers: readonly Layer[];
  readonly digest: string;
  readonly size: number;
  readonly spec: ModelSpec;
  /** As the file on disk. */
  readonly text: string;
}

/** The part of a registry's manifest that counts. */
const ManifestText = z.object({ config: Layer, layers: z.array(Layer) });

/** The manifest that a registry would hold for this model. Throws when the name is invalid: a mistake in a test. */
export function makeManifest(spec: ModelSpec): Manifest {
  const name = parseName(spec.name);
  if (name === null) throw new Error(`No model name: ${spec.name}`);
  const layers = spec.layers.map((layer, index) =>
    typeof layer === "number" ? { digest: `sha256:${hex(`${nameKey(name)} ${index} ${layer}`)}`, size: layer } : layer,
  );
  layers.push(spec.config ?? { digest: `sha256:${hex(`config ${JSON.stringify(layers)}`)}`, size: 486 });
  const text = JSON.stringify({ schemaVersion: 2, config: layers.at(-1), layers: layers.slice(0, -1) });
  return { name, layers, size: sizeOf(layers), spec, text, digest: spec.digest ?? hex(text) };
}

/** The manifest that a registry sent, or that is on disk. */
export function readManifest(name: Name, text: string): Manifest {
  const { config, layers } = ManifestText.parse(JSON.parse(text));
  const all = [...layers, config];
  return { name, layers: all, size: sizeOf(all), spec: { name: nameKey(name), layers }, text, digest: hex(text) };
}

function sizeOf(layers: readonly Layer[]): number {
  return layers.reduce((sum, layer) => sum + layer.size, 0);
}

function hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
