// Opens the way to gpu-server for one run of gpuctl.

import { getCACertificates } from "node:tls";
import { CourierError } from "../../base/errors.ts";
import type { Waits } from "../../courier/requests.ts";
import { VERSION } from "../../program/flags.ts";
import { readToken } from "../../trust/token_file.ts";
import type { ClientIo } from "../io.ts";
import { readTextFile } from "../roster/read_file.ts";
import type { Reached } from "../run/in_session.ts";
import { parseServer, type ServerAddress } from "./address.ts";
import { ServerHttp } from "./http.ts";
import { ServerCourier } from "./server_courier.ts";

export interface ServerOptions {
  readonly server: string;
  /** Undefined: the one in the configuration folder. */
  readonly tokenFile: string | undefined;
  /** The file with the certificate of an authority; undefined: those of the system count. */
  readonly ca: string | undefined;
  /** Whether the token may go unencrypted over a network. */
  readonly mayBePlain: boolean;
  readonly timeoutMs: number;
}

/** The bundle of a system has about 250 kilobytes. */
const MAX_CA_BYTES = 4 * 1024 * 1024;

/** @throws CourierError when the address, the token or the certificate cannot be used */
export function openServer(io: ClientIo, options: ServerOptions, waits: Waits): Reached {
  const http = openHttp(io, options, io.signal, waits);
  return {
    courier: new ServerCourier(http, io.clock),
    share: null,
    close: async () => undefined,
  };
}

/** @throws CourierError as `openServer()` */
export function openHttp(
  io: ClientIo,
  options: ServerOptions,
  signal: AbortSignal,
  waits: Waits | null = null,
): ServerHttp {
  const { address, token, ca } = wayTo(io, options);
  const { timeoutMs } = options;
  const userAgent = `gpuctl/${VERSION}`;
  return new ServerHttp({ address, token: token(), ca, userAgent, timeoutMs, clock: io.clock, waits, signal });
}

/** Where gpu-server is, and what a request to it needs. */
export interface ServerWay {
  readonly address: ServerAddress;
  /** Reads it from its file: a new one counts from then on. @throws CourierError when it cannot be used */
  readonly token: () => string;
  /** The certificates of authorities, in PEM; undefined: those of Bun. */
  readonly ca: readonly string[] | undefined;
}

/** @throws CourierError when the address or the certificate cannot be used */
export function wayTo(io: ClientIo, options: Omit<ServerOptions, "timeoutMs">): ServerWay {
  const { server, tokenFile = io.tokenFile, ca, mayBePlain } = options;
  const address = parseServer(server, mayBePlain);
  if (tokenFile === undefined)
    throw new CourierError("unauthenticated", "No file with a token is named", { hint: "--token-file FILE" });
  return {
    address,
    token: () => readToken(tokenFile),
    ca: address.isEncrypted ? certificates(ca) : undefined,
  };
}

/** Undefined on a system without a store of certificates: those of Bun count then. */
function certificates(file: string | undefined): readonly string[] | undefined {
  const own = file === undefined ? [] : [certificateIn(file)];
  const system = getCACertificates("system");
  return system.length + own.length === 0 ? undefined : [...system, ...own];
}

function certificateIn(file: string): string {
  const text = readTextFile(file, MAX_CA_BYTES);
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new CourierError("invalid", `${file} holds no certificate`, { hint: "--ca takes a file in PEM" });
}
