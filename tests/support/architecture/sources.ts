// Reads the checkout's own files for the tests that hold the architecture.
import { join, posix } from "node:path";

const ROOT = join(import.meta.dir, "../../..");

export interface Source {
  /** From the checkout's root: `src/agent/commands/worker.ts`. */
  readonly path: string;
  readonly text: string;
}

interface Import {
  /** A path from the checkout's root, or a package, `node:` and `bun:` modules as they stand. */
  readonly target: string;
  readonly isLocal: boolean;
}

/** Every file that git tracks or would add; without git, every file that is no build output. */
async function readCheckout(): Promise<readonly string[]> {
  const git = Bun.spawnSync(["git", "ls-files", "-co", "--exclude-standard", "--deduplicate", "-z"], { cwd: ROOT });
  const listed = git.success
    ? git.stdout.toString().split("\0")
    : [...new Bun.Glob("**").scanSync({ cwd: ROOT, dot: true })];
  const files = listed.filter((path) => path !== "" && !/^(?:node_modules|dist|\.git)\//.test(path));
  const present = await Promise.all(files.map(async (path) => await Bun.file(join(ROOT, path)).exists()));
  return files.filter((_, index) => present[index]).toSorted();
}

/** Every text file of the checkout that fits the pattern. */
export async function readSources(pattern: string): Promise<readonly Source[]> {
  const glob = new Bun.Glob(pattern);
  const paths = (await readCheckout()).filter((path) => glob.match(path) && !/\.(?:png|gz|zip|sqlite)$/.test(path));
  return await Promise.all(paths.map(async (path) => ({ path, text: await Bun.file(join(ROOT, path)).text() })));
}

/** What a source imports, types too. It counts on the formatter: each statement begins its line, double quotes. */
export function importsOf({ path, text }: Source): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s(?:[^"';=]*\sfrom\s)?"([^"]+)"/gm);
  const calls = text.matchAll(/\b(?:import|require)\(\s*"([^"]+)"/g);
  return [...statements, ...calls].map(([, name = ""]) => {
    // package.json maps `#src/` and its like to the folders of that name.
    if (name.startsWith("#")) return { target: name.slice(1), isLocal: true };
    const isLocal = name.startsWith(".");
    return { target: isLocal ? posix.join(posix.dirname(path), name) : name, isLocal };
  });
}

/** The files that break a rule, each with how. */
export function offenders(files: readonly Source[], faultsOf: (file: Source) => readonly string[]): string[] {
  return files.flatMap((file) => faultsOf(file).map((fault) => `${file.path}: ${fault}`));
}

/** The names that a source exports. A schema and its type share one name. */
export function exportsOf({ text }: Source): string[] {
  const declared = text.matchAll(
    /^export\s+(?:declare\s+|abstract\s+|async\s+)*(?:function\*?|class|const|let|type|interface|enum)\s+(\w+)/gm,
  );
  return [...new Set([...declared].map(([, name = ""]) => name))];
}

/** The functions at the top of a source and the methods of its classes, with how many lines each has. */
export function functionsOf({ text }: Source): { name: string; lines: number }[] {
  const lines = text.split("\n");
  return lines.flatMap((line, start) => {
    const [, indent, name] =
      /^( {2}|(?:export )?(?:async )?function\*? )(?:static |async |override |get |set |\*)*(#?\w+).*[{(]$/.exec(
        line,
      ) ?? [];
    if (indent === undefined || name === undefined) return [];
    const closing = indent === "  " ? "  }" : "}";
    const length = lines.slice(start).findIndex((each) => each.startsWith(closing)) + 1;
    // A call with a function in it ends otherwise: `  });`.
    return lines[start + length - 1] === closing ? [{ name, lines: length }] : [];
  });
}
