// Where a box finds the mirror: on its share, in a folder that it mounts, or at a gpu-server.
import { readFileSync } from "node:fs";
import { getCACertificates } from "node:tls";
import type { Clock } from "../../../base/clock.ts";
import { CourierError, systemCode } from "../../../base/errors.ts";
import { sharePath } from "../../../transport/address.ts";
import { Mirror } from "../../../transport/mirror/mirror.ts";
import { mirrorGuard } from "../../../transport/mirror/reading/guard.ts";
import type { MirrorReader } from "../../../transport/mirror/reading/reader.ts";
import { readToken } from "../../../trust/token_file.ts";
import { RemoteMirror } from "./remote_mirror.ts";
import type { MirrorMode } from "./sources.ts";

export interface MirrorSettings {
  /** Whether pulls use the mirror. */
  readonly mode: MirrorMode;
  /** The folder that has `gpu_models`; undefined: the share. */
  readonly folder: string | undefined;
  /** Of a gpu-server: `https://server/mirror`. */
  readonly url: string | undefined;
  readonly tokenFile: string | undefined;
  /** The file with the certificate of an authority; undefined: those of the system count. */
  readonly ca: string | undefined;
}

/** Where it is, and how it is read. */
export type FoundMirror =
  | { readonly kind: "folder"; readonly mirror: Mirror }
  | { readonly kind: "server"; readonly base: string; readonly mirror: MirrorReader };

/**
 * @param address of the transport
 * @returns null: pulls use no mirror
 * @throws CourierError `invalid` for settings that contradict each other; as `readToken`
 */
export function openMirror(
  { mode, folder, url, tokenFile, ca }: MirrorSettings,
  address: string,
  clock: Clock,
): FoundMirror | null {
  if (url !== undefined && folder !== undefined)
    throw wrong("Both --mirror-folder and --mirror-url say where the mirror is", "Keep one of them");
  if (url === undefined && (tokenFile ?? ca) !== undefined)
    throw wrong("--mirror-token-file and --mirror-ca need --mirror-url", "Name the gpu-server that has the mirror");
  if (mode === "off") return null;
  if (url !== undefined) return remote(url, tokenFile, ca, clock);
  const path = folder ?? sharePath(address);
  if (path !== null) return { kind: "folder", mirror: new Mirror(path, mirrorGuard(clock)) };
  if (mode === "auto") return null;
  throw wrong(
    `Cannot use --mirror only with ${address}: nothing says where the mirror is`,
    "Name it with --mirror-folder or --mirror-url, or use --mirror off",
  );
}

/** The folder that has the mirror which this box fetches into. @throws CourierError `invalid` on a transport without folders */
export function filledShare({ folder }: Pick<MirrorSettings, "folder">, address: string): string {
  const share = folder ?? sharePath(address);
  if (share !== null) return share;
  throw wrong(
    `Cannot use --mirror-source with ${address}: the mirror is a folder of a share`,
    "Name its folder with --mirror-folder, or omit --mirror-source",
  );
}

function remote(url: string, tokenFile: string | undefined, ca: string | undefined, clock: Clock): FoundMirror {
  if (tokenFile === undefined)
    throw wrong("--mirror-url needs --mirror-token-file", "On the server: gpu-server token add NAME --role mirror");
  const base = parseMirrorUrl(url);
  if (ca !== undefined && base.startsWith("http:"))
    throw wrong(`--mirror-ca has no effect on ${base}, which has no certificate`, "Omit it, or use https");
  const token = (): string => readToken(tokenFile, "mirror");
  // A file that cannot be used is reported at the start.
  token();
  const certificates = base.startsWith("https:") ? certificatesWith(ca) : undefined;
  return { kind: "server", base, mirror: new RemoteMirror({ base, token, ca: certificates, clock }) };
}

/** Without a slash at its end. @throws CourierError `invalid` */
export function parseMirrorUrl(text: string): string {
  const url = URL.parse(text);
  const example = "For example: --mirror-url https://gpu.example.org/mirror";
  if (url === null || !["http:", "https:"].includes(url.protocol))
    throw wrong(`${JSON.stringify(text)} is no address`, example);
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    throw wrong("The address of the mirror must have no password, query or fragment", example);
  if (url.protocol === "http:" && !/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname))
    throw wrong(`The token would travel unencrypted to ${url.host}`, "Use https");
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** Undefined on a system without a store of certificates: those of Bun count then. */
function certificatesWith(file: string | undefined): readonly string[] | undefined {
  const own = file === undefined ? [] : [certificateIn(file)];
  const system = getCACertificates("system");
  return system.length + own.length === 0 ? undefined : [...system, ...own];
}

function certificateIn(file: string): string {
  try {
    const text = readFileSync(file, "utf8");
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  } catch (error) {
    throw wrong(`Cannot read ${file}: ${systemCode(error) ?? String(error)}`, "--mirror-ca takes a file in PEM");
  }
  throw wrong(`${file} holds no certificate`, "--mirror-ca takes a file in PEM");
}

function wrong(message: string, hint: string): CourierError {
  return new CourierError("invalid", message, { hint });
}
