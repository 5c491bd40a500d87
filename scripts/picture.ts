// Makes docs/pull.svg: gpuctl as a terminal shows it, while a model is pulled on four boxes. Needs tmux. Run it again when
// what gpuctl draws changes: node scripts/bootstrap.mjs scripts/picture.ts.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ProcessSite, until } from "#tests/process/site/site.ts";

const ROOT = join(import.meta.dir, "..");
const TARGET = join(ROOT, "docs/pull.svg");
const MODEL = "llama3.2:1b";
const COLUMNS = 80;
const ROWS = 6;
/** Of each box's download, in bytes a second; the second is done first. */
const SPEEDS = { "gpu-1": 60e6, "gpu-2": 90e6, "gpu-3": 25e6, "gpu-4": 40e6 } as const;

/** A terminal of its own, without anybody's settings. */
class Terminal {
  readonly #socket: string;

  constructor(socket: string, command: readonly string[]) {
    this.#socket = socket;
    this.#tmux("-f", "/dev/null", "new-session", "-d", "-x", String(COLUMNS), "-y", String(ROWS), ...command);
  }

  type(text: string): void {
    this.#tmux("send-keys", "-l", text);
    this.#tmux("send-keys", "Enter");
  }

  /** What it shows, line by line. */
  screen(): string[] {
    return this.#tmux("capture-pane", "-p").trimEnd().split("\n");
  }

  close(): void {
    this.#tmux("kill-server");
  }

  #tmux(...args: readonly string[]): string {
    const { exitCode, stdout, stderr } = Bun.spawnSync(["tmux", "-S", this.#socket, ...args]);
    if (exitCode !== 0) throw new Error(`tmux ${args[0]}: ${stderr.toString()}`);
    return stdout.toString();
  }
}

const CHAR_WIDTH = 8.4;
const LINE_HEIGHT = 20;
const MARGIN = 16;
const FULL = "#3fb950";
const EMPTY = "#30363d";

function svg(lines: readonly string[]): string {
  const [width, height] = [COLUMNS * CHAR_WIDTH + 2 * MARGIN, lines.length * LINE_HEIGHT + 2 * MARGIN];
  const head =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
    `font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" fill="#e6edf3">`;
  const ground = `<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`;
  return `${[head, ground, ...lines.flatMap(drawLine), "</svg>"].join("\n")}\n`;
}

/** Words at their columns, and bars as boxes: no font has to know the characters, and none moves them. */
function drawLine(line: string, row: number): string[] {
  const top = MARGIN + row * LINE_HEIGHT;
  return [...line.matchAll(/█+|░+|[^█░\s]+(?: [^█░\s]+)*/g)].map(({ 0: text, index }) => {
    const [x, width] = [round(MARGIN + index * CHAR_WIDTH), round(text.length * CHAR_WIDTH)];
    if (/[█░]/.test(text))
      return `<rect x="${x}" y="${top + 3}" width="${width}" height="${LINE_HEIGHT - 6}" fill="${text.startsWith("█") ? FULL : EMPTY}"/>`;
    return `<text x="${x}" y="${top + 15}" textLength="${width}" xml:space="preserve">${escaped(text)}</text>`;
  });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** `gpuctl` for the terminal: this checkout's, on the site's share. */
function putOnPath(site: ProcessSite): string {
  const folder = join(site.dir, "bin");
  mkdirSync(folder);
  writeFileSync(join(folder, "gpuctl"), `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, "src/client.ts")} "$@"\n`);
  chmodSync(join(folder, "gpuctl"), 0o755);
  return folder;
}

const site = new ProcessSite();
try {
  for (const [name, bytesPerSecond] of Object.entries(SPEEDS)) {
    const { url } = await site.ollama({ bytesPerSecond });
    await site.agent(name, url);
  }
  const environment = [
    `PATH=${putOnPath(site)}:${process.env["PATH"]}`,
    `GPU_COURIER_SHARE=${site.share}`,
    `XDG_CONFIG_HOME=${site.dir}`,
    "PS1=$ ",
  ];
  const terminal = new Terminal(join(site.dir, "tmux"), ["env", ...environment, "bash", "--norc", "--noprofile"]);
  try {
    await until(() => terminal.screen().at(-1) === "$", "the shell is there");
    terminal.type(`gpuctl pull ${MODEL} --all`);
    const isOneDone = (): boolean => terminal.screen().some((line) => line.includes(" succeeded "));
    await until(isOneDone, "one of the boxes has it", 60_000);
    await Bun.write(TARGET, svg(terminal.screen()));
  } finally {
    terminal.close();
  }
} finally {
  await site.close();
}
