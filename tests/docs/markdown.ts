// The documents as the tests of the docs read them: headings, tables, fences, code spans, links.
import { readSources } from "#tests/support/architecture/sources.ts";

export interface Fence {
  readonly language: string;
  readonly text: string;
}

const CODE_SPAN = /`([^`\n]+)`/g;

export class Markdown {
  /** From the checkout's root. */
  readonly path: string;
  readonly text: string;
  readonly fences: readonly Fence[];
  /** The text without its fenced blocks. */
  readonly prose: string;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
    const fence = /^```(\w*)\n([\s\S]*?)^```$/gm;
    this.fences = [...text.matchAll(fence)].map(([, language = "", inside = ""]) => ({ language, text: inside }));
    this.prose = text.replaceAll(fence, "");
  }

  get headings(): readonly string[] {
    return [...this.prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => heading);
  }

  /** The text after a heading, up to the next of its level or above. @throws when there is no such heading */
  section(heading: string): Markdown {
    const start = new RegExp(`^(#+) ${heading}$`, "m").exec(this.text);
    if (start === null) throw new Error(`${this.path} has no section "${heading}"`);
    const [line, level = ""] = start;
    const rest = this.text.slice(start.index + line.length);
    const end = rest.search(new RegExp(`^#{1,${level.length}} `, "m"));
    return new Markdown(`${this.path}, ${heading}`, end < 0 ? rest : rest.slice(0, end));
  }

  /** The rows of its tables, without their heads: one array of cells each. */
  get rows(): readonly (readonly string[])[] {
    const lines = this.prose.split("\n").map((line) => line.trim());
    return lines
      .filter((line, index) => line.startsWith("|") && !isRule(line) && !isRule(lines[index + 1] ?? ""))
      .map((line) =>
        line
          .slice(1, -1)
          .split(/(?<!\\)\|/)
          .map((cell) => cell.trim()),
      );
  }

  /** Inline code, and each command of `sh` fences on one line. */
  get commands(): readonly string[] {
    const shell = this.fences.filter(({ language }) => language === "sh" || language === "console");
    const lines = shell.flatMap(({ language, text }) => {
      const joined = text.replaceAll("\\\n", " ").split("\n");
      return language === "sh" ? joined : joined.filter((line) => line.startsWith("$ ")).map((line) => line.slice(2));
    });
    return [...this.codeSpans, ...lines];
  }

  get codeSpans(): readonly string[] {
    return [...this.prose.matchAll(CODE_SPAN)].map(([, code = ""]) => code);
  }

  /** Where its links point, but for those that leave the checkout. */
  get links(): readonly string[] {
    const targets = [...this.prose.replaceAll(CODE_SPAN, "").matchAll(/\]\(([^)\s]+)\)/g)].map(
      ([, target = ""]) => target,
    );
    return targets.filter((target) => !/^[a-z]+:/.test(target));
  }
}

/** README, CHANGELOG and all of docs. */
export async function readDocuments(): Promise<readonly Markdown[]> {
  const found = await Promise.all(["*.md", "docs/**/*.md"].map(readSources));
  return found.flat().map(({ path, text }) => new Markdown(path, text));
}

/** As a heading is addressed in a link: `Who serves it?` is `#who-serves-it`. */
export function anchor(heading: string): string {
  const kept = heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "");
  return kept.replaceAll(" ", "-");
}

/** The code span that a cell of a table begins with. */
export function firstCode(cell: string | undefined): string {
  return /^`([^`]+)`/.exec(cell ?? "")?.[1] ?? "";
}

function isRule(line: string): boolean {
  return /^\|[\s|:-]+\|$/.test(line);
}
