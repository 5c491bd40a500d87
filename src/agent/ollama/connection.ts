// The reason why a connection failed, in words, from the codes that Bun 1.4.5 gives (each seen on a real socket).
import { systemCode } from "../../base/errors.ts";

export interface ConnectionReason {
  /** A predicate: `refuses the connection`, `is an unknown host`. */
  readonly text: string;
  readonly kind: "refused" | "name" | "route" | "certificate" | "tls" | "not-http" | "ended";
}

const REASONS: readonly { readonly codes: RegExp; readonly reason: ConnectionReason }[] = [
  { codes: /^(?:ECONNREFUSED|ConnectionRefused)$/, reason: { kind: "refused", text: "refuses the connection" } },
  { codes: /^ENOTFOUND$/, reason: { kind: "name", text: "is an unknown host: no such name" } },
  { codes: /^EAI_/, reason: { kind: "name", text: "cannot be looked up: no name server answers" } },
  {
    codes: /^E(?:HOST|NET)(?:UNREACH|DOWN)$/,
    reason: { kind: "route", text: "is unreachable: no route to that host" },
  },
  { codes: /^E(?:CONN)?TIMEDOUT$/, reason: { kind: "route", text: "does not accept the connection: it timed out" } },
  { codes: /^(?:EPROTO$|ERR_SSL_)/, reason: { kind: "tls", text: "does not speak TLS on that port" } },
  {
    codes: /^(?:Malformed_HTTP_Response$|HPE_)/,
    reason: { kind: "not-http", text: "does not speak HTTP on that port" },
  },
];
const CERTIFICATE = /CERT|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/;

export function connectionReason(cause: unknown): ConnectionReason {
  const code = systemCode(cause) ?? "";
  const known = REASONS.find(({ codes }) => codes.test(code));
  if (known !== undefined) return known.reason;
  if (CERTIFICATE.test(code) && cause instanceof Error) {
    return { kind: "certificate", text: `has a certificate that is not trusted: ${cause.message}` };
  }
  return { kind: "ended", text: "ended the connection before its answer was complete" };
}
