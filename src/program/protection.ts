// Models that no command may delete or overwrite, as `--protect` names them.
import { CourierError } from "../base/errors.ts";
import { normalModelName, parseModelName } from "../base/model_name.ts";

interface Pattern {
  readonly text: string;
  readonly glob: Bun.Glob;
}

/** The characters of a name and of a glob. */
const GRAMMAR = /^(?:[\w.:/*?-]|\[!?[\w.-]+\])+$/;

export class Protection {
  readonly #agent: string;
  readonly #patterns: readonly Pattern[];

  /**
   * @param patterns globs on names in Ollama's form, without regard to case: `phi4:*`, `me/*`; a name without `*`, `?` or
   *   `[` is that of one model, so that `phi4` is `phi4:latest`
   * @throws CourierError `invalid` for what could never fit a name
   */
  constructor(agent: string, patterns: readonly string[]) {
    this.#agent = agent;
    this.#patterns = patterns.map(readPattern);
  }

  /**
   * @param action what is to be done with it: `delete`
   * @param model in Ollama's form
   * @throws CourierError `forbidden` when it is protected
   */
  requireOpen(action: string, model: string): void {
    const found = this.#find(model);
    if (found === undefined) return;
    const protectedBy = `it is protected there by --protect ${found.text}`;
    throw new CourierError("forbidden", `Cannot ${action} ${JSON.stringify(model)} on ${this.#agent}: ${protectedBy}`, {
      hint: "Only the administrator of that box can change this",
    });
  }

  /** @param model in Ollama's form */
  protects(model: string): boolean {
    return this.#find(model) !== undefined;
  }

  #find(model: string): Pattern | undefined {
    const names = spellings(model);
    return this.#patterns.find(({ glob }) => names.some((name) => glob.match(name)));
  }
}

/** A value of `--protect` as it was given. @throws CourierError `invalid` for a pattern that fits no model's name */
export function parseProtectedName(text: string): string {
  return readPattern(text).text;
}

function readPattern(text: string): Pattern {
  if (!GRAMMAR.test(text)) {
    throw new CourierError("invalid", `Cannot protect ${JSON.stringify(text)}: no model has such a name`, {
      hint: "A pattern looks like phi4, phi4:* or me/*",
    });
  }
  const name = /[*?[]/.test(text) ? text : normalModelName(text);
  return { text, glob: new Bun.Glob(name.toLowerCase()) };
}

/** The name as it is shown, and with the defaults that are left out then: a pattern may have been written with them. */
function spellings(model: string): readonly string[] {
  const { host, namespace, model: name, tag } = parseModelName(model);
  const inNamespace = `${namespace}/${name}:${tag}`;
  return [normalModelName(model), `${host}/${inNamespace}`, inNamespace].map((spelling) => spelling.toLowerCase());
}
