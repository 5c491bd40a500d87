// The file that names the models of a fleet: YAML, read with the line of each mistake.
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { normalModelName } from "../../base/model_name.ts";
import { namedIn } from "./named_boxes.ts";

/** Which boxes: all, those with a label, or those that a name or pattern fits. */
export type Target =
  | { readonly kind: "all" }
  | { readonly kind: "label"; readonly key: string; readonly value: string }
  | { readonly kind: "name"; readonly name: string };

export interface DesiredModel {
  /** In Ollama's form. */
  readonly name: string;
  readonly on: readonly Target[];
  /** The beginning of the digest that it must have, in lower case; null: any. */
  readonly digest: string | null;
}

export interface DesiredFleet {
  readonly models: readonly DesiredModel[];
  /** Whether other models are deleted from the boxes that are named. */
  readonly prune: boolean;
}

export const MAX_FLEET_FILE_BYTES = 1_000_000;
const MAX_MODELS = 10_000;
const KEYS = { file: ["models", "prune"], model: ["name", "on", "digest"] } as const;
const ON_HINT = 'Write names, patterns, label:key=value or all: [gpu-1, "gpu-2*", "label:zone=a"]';
const EXAMPLE = "For example:\nmodels:\n  - name: phi4\n    on: all";

/**
 * @param path for people
 * @throws CourierError `invalid` with the path and the line of the first mistake
 */
export function parseFleetFile(text: string, path: string): DesiredFleet {
  const lines = new LineCounter();
  // The library compares each key with all before it: minutes for a file that is another one by mistake.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const reader = new Reader(path, lines);
  const [mistake] = [...document.errors, ...document.warnings];
  if (mistake !== undefined) throw reader.syntax(mistake.message, mistake.pos[0]);
  return reader.fleet(document.contents);
}

type Fields = ReadonlyMap<string, Node | null>;

class Reader {
  readonly #path: string;
  readonly #lines: LineCounter;

  constructor(path: string, lines: LineCounter) {
    this.#path = path;
    this.#lines = lines;
  }

  syntax(message: string, at: number): CourierError {
    const [first = ""] = message.split("\n");
    return this.#mistake(at, first, "Texts that begin with * or have ': ' in them need quotes");
  }

  fleet(contents: Node | null): DesiredFleet {
    const fields = this.#fields(contents, 0, KEYS.file, "The file");
    const at = offsetOf(contents);
    const list = fields.get("models");
    if (!isSeq(list)) throw this.#mistake(offsetOf(list, at), "models must be a list", EXAMPLE);
    const prune = this.#flag(fields.get("prune"), at);
    if (list.items.length > MAX_MODELS) throw this.#mistake(at, `models has more than ${MAX_MODELS} entries`);
    // An empty list is what is left of a file that was cut off, or made by a program that failed.
    if (prune && list.items.length === 0)
      throw this.#mistake(
        offsetOf(list),
        "models is empty, and prune would delete every model",
        "gpuctl rm deletes models",
      );
    const names = new Map<string, number>();
    const models = list.items.map((item) => {
      const node = nodeOf(item);
      const model = this.#model(node, offsetOf(list));
      const key = model.name.toLowerCase();
      const earlier = names.get(key);
      if (earlier !== undefined)
        throw this.#mistake(
          offsetOf(node),
          `${model.name} is there twice, first in line ${this.#lineAt(earlier)}`,
          "Name its boxes in one list",
        );
      names.set(key, offsetOf(node));
      return model;
    });
    return { models, prune };
  }

  #model(node: Node | null, at: number): DesiredModel {
    const fields = this.#fields(node, at, KEYS.model, "An entry of models");
    const start = offsetOf(node, at);
    const nameNode = fields.get("name");
    const text = this.#text(
      nameNode,
      "name",
      start,
      "Name the model as gpuctl list shows it, in quotes if it is a number",
    );
    try {
      return {
        name: normalModelName(text),
        on: this.#targets(fields.get("on"), start),
        digest: this.#digest(fields.get("digest"), start),
      };
    } catch (error) {
      const { code, message, hint } = asCourierError(error);
      if (code !== "invalid" || message.startsWith(this.#path)) throw error;
      throw this.#mistake(offsetOf(nameNode), message, hint);
    }
  }

  #targets(node: Node | null | undefined, at: number): readonly Target[] {
    const items: readonly (Node | null | undefined)[] = isSeq(node) ? node.items.map(nodeOf) : [node];
    if (items.length === 0) throw this.#mistake(offsetOf(node, at), "on names no box", ON_HINT);
    return items.flatMap((item): Target[] => {
      const text = this.#text(item, "on", offsetOf(node, at), ON_HINT);
      if (text === "all") return [{ kind: "all" }];
      const label = /^label:([^=]+)=(.*)$/.exec(text);
      if (label !== null) return [{ kind: "label", key: label[1] ?? "", value: label[2] ?? "" }];
      const names = namedIn(text);
      if (names === undefined || names.length === 0)
        throw this.#mistake(offsetOf(item, at), `${JSON.stringify(text.slice(0, 80))} names no boxes`, ON_HINT);
      return names.map((name) => ({ kind: "name", name }));
    });
  }

  #digest(node: Node | null | undefined, at: number): string | null {
    if (node === undefined) return null;
    const text = this.#text(node, "digest", at, "Write it as gpuctl list shows it, in quotes");
    const digest = text.toLowerCase().replace(/^sha256:/, "");
    if (/^[0-9a-f]{12,64}$/.test(digest)) return digest;
    throw this.#mistake(offsetOf(node), "digest must have 12 to 64 hex digits", "gpuctl list shows the first 12 as ID");
  }

  #flag(node: Node | null | undefined, at: number): boolean {
    if (node === undefined) return false;
    if (isScalar(node) && typeof node.value === "boolean") return node.value;
    throw this.#mistake(offsetOf(node, at), "prune must be true or false");
  }

  #text(node: Node | null | undefined, name: string, at: number, hint: string): string {
    if (isScalar(node) && typeof node.value === "string" && node.value !== "") return node.value;
    if (isAlias(node))
      throw this.#mistake(
        offsetOf(node, at),
        "Aliases are not used here",
        "Put quotes around a text that begins with *",
      );
    throw this.#mistake(offsetOf(node, at), node === undefined ? `${name} is missing` : `${name} must be text`, hint);
  }

  #fields(node: Node | null, at: number, known: readonly string[], what: string): Fields {
    if (!isMap(node))
      throw this.#mistake(offsetOf(node, at), `${what} must have the keys ${known.join(", ")}`, EXAMPLE);
    const fields = new Map<string, Node | null>();
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : "";
      if (!known.includes(name))
        throw this.#mistake(
          offsetOf(nodeOf(key), at),
          `Unknown key ${JSON.stringify(name.slice(0, 80))}`,
          `Known keys: ${known.join(", ")}`,
        );
      if (fields.has(name))
        throw this.#mistake(offsetOf(nodeOf(key), at), "This key is there twice", "Leave one of them out");
      fields.set(name, nodeOf(value));
    }
    return fields;
  }

  #lineAt(offset: number): number {
    return this.#lines.linePos(offset).line || 1;
  }

  #mistake(offset: number, message: string, hint?: string): CourierError {
    return new CourierError("invalid", `${this.#path}:${this.#lineAt(offset)}: ${message}`, { hint });
  }
}

function nodeOf(value: unknown): Node | null {
  return isNode(value) ? value : null;
}

function offsetOf(node: Node | null | undefined, otherwise = 0): number {
  return node?.range?.[0] ?? otherwise;
}
