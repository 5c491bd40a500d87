// The reason why a connection failed, in words, from the codes that Bun 1.4.5 gives (each seen on a real socket).
import { systemCode } from "../../base/errors.ts";

export interface ConnectionReason {
  /** A predicate: `does not answer (connection refused)`. */
  readonly text: string;
  readonly kind: "refused" | "name" | "route" | "certificate" | "tls" | "not-http" | "ended";
}

const REASONS: readonly { readonly codes: RegExp; readonly reason: ConnectionReason }[] = [
  {
    codes: /^(?:ECONNREFUSED|ConnectionRefused)$/,
    reason: { kind: "refused", text: "does not answer (connection refused)" },
  },
  { codes: /^ENOTFOUND$/, reason: { kind: "name", text: "does not answer (no such host)" } },
  { codes: /^EAI_/, reason: { kind: "name", text: "does not answer (no name server knows its host)" } },
  {
    codes: /^E(?:HOST|NET)(?:UNREACH|DOWN)$/,
    reason: { kind: "route", text: "does not answer (no route to its host)" },
  },
  { codes: /^E(?:CONN)?TIMEDOUT$/, reason: { kind: "route", text: "does not answer (connection timed out)" } },
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
