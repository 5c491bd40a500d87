// Debian's tools on this machine, for the suites that start machines of their own: found, or installed with apt-get.

/** A command, and the package that has it. */
export interface Tool {
  readonly command: string;
  readonly package: string;
}

/** Without the first option apt-get as root fetches as another user, who may not write here. Two suites may install at once. */
export const APT_GET = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "-o", "DPkg::Lock::Timeout=300"];

/**
 * Sees to it that the tools are there; root gets those that are missing installed.
 * @param purpose begins the text of the error
 * @throws Error naming what is missing and the command that installs it
 */
export async function requireTools(tools: readonly Tool[], purpose: string): Promise<void> {
  if (Bun.which("apt-get", { PATH: searchPath() }) === null) {
    throw new Error("Cannot fetch Debian's packages: no apt-get here. Run it on Debian 12");
  }
  const missing = tools.filter(({ command }) => Bun.which(command, { PATH: searchPath() }) === null);
  if (missing.length === 0) return;
  const names = missing.map((tool) => tool.package);
  await updateOr(`${purpose}: ${missing.map(({ command }) => command).join(" and ")} missing`, names);
  await run([...APT_GET, "install", "-y", "--no-install-recommends", ...names], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}

/** Where Debian keeps the tools of root too, anyone who asks. */
export function searchPath(): string {
  return `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
}

/** Fetches apt-get's lists again, as root. @throws Error with the reason and what to do by hand, as another user */
export async function updateOr(reason: string, install: readonly string[]): Promise<void> {
  if (process.getuid?.() === 0) {
    await run([...APT_GET, "update"]);
    return;
  }
  const then = install.length === 0 ? "" : ` && sudo apt-get install ${install.join(" ")}`;
  throw new Error(`${reason}. Run as root: sudo apt-get update${then}`);
}

/** @returns what it wrote on stdout. @throws Error with all that it wrote when it fails */
export async function run(
  command: readonly string[],
  options: { readonly cwd?: string; readonly env?: Record<string, string | undefined> } = {},
): Promise<string> {
  const env = { ...(options.env ?? process.env), PATH: searchPath() };
  const child = Bun.spawn([...command], { ...options, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) === 0) return stdout;
  throw new Error(`Cannot run "${command.join(" ")}":\n${stdout}${stderr}`.trim());
}
