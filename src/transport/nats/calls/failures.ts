// What failures of NATS mean for the callers of a transport. Each is mapped once.
import { JetStreamApiError } from "@nats-io/jetstream";
import {
  AuthorizationError,
  ClosedConnectionError,
  ConnectionError,
  DrainingConnectionError,
  InvalidArgumentError,
  NoRespondersError,
  PermissionViolationError,
  ProtocolError,
  RequestError,
  TimeoutError,
  UserAuthenticationExpiredError,
} from "@nats-io/transport-node";
import { CourierError, systemCode } from "../../../base/errors.ts";

/** As JetStream numbers them. @see server/errors.json of nats-server */
const NO_SPACE = new Set([10_002, 10_023, 10_028, 10_047]);
/** The last two of a consumer, which a server without space cannot make either. */
const NOT_NOW = new Set([10_005, 10_008, 10_009, 10_012, 10_014, 10_104]);
/** The store failed: for want of space, or for another reason that its text has. */
const STORE_FAILED = 10_077;
/** For this account, or the whole server. */
const NOT_ENABLED = new Set([10_039, 10_076]);
const WRONG_SEQUENCE = new Set([10_071, 10_164]);
const ALREADY_THERE = new Set([10_058]);

const AWAY = [
  ClosedConnectionError,
  ConnectionError,
  DrainingConnectionError,
  ProtocolError,
  // One without a cause: the connection was lost under it.
  RequestError,
  TimeoutError,
];

/** A put that was to replace one entry found another one there. */
export function isWrongSequence(error: unknown): boolean {
  return error instanceof JetStreamApiError && WRONG_SEQUENCE.has(error.code);
}

/** Another process has made the stream meanwhile, perhaps with other settings. */
export function isAlreadyThere(error: unknown): boolean {
  return error instanceof JetStreamApiError && ALREADY_THERE.has(error.code);
}

/** Nothing answers under this subject: the stream does not exist, or has no leader for now. */
function isUnanswered(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders())) return true;
  return isUnanswered(error.cause);
}

/** Of a certificate, a log-in or a server that is not there. */
export function connectFailure(error: unknown, description: string): CourierError {
  if (error instanceof CourierError) return error;
  const cause = rootOf(error);
  const action = `Cannot connect to ${description}`;
  if (cause instanceof AuthorizationError || cause instanceof UserAuthenticationExpiredError)
    return new CourierError("unavailable", `${action}: it refuses these credentials`, {
      hint: "Check --nats-creds, with --store nats also --nats-store-creds, and that the server's configuration has this user",
      cause: error,
    });
  const reason = systemCode(cause) ?? (cause instanceof Error ? cause.message : String(cause));
  return new CourierError("unavailable", `${action}: ${reason}`, {
    hint: "Check that nats-server runs and that this machine reaches it: nats server check connection",
    cause: error,
  });
}

/** @param action what was tried, as in `Cannot …` */
export function natsFailure(error: unknown, action: string, description: string): CourierError {
  if (error instanceof CourierError) return error;
  const cause = rootOf(error);
  const at = `Cannot ${action}: ${description}`;
  if (cause instanceof PermissionViolationError)
    return new CourierError("forbidden", `${at} does not allow ${cause.operation} on ${cause.subject}`, {
      hint: "Compare its configuration with what `gpuctl nats-permissions` prints",
      cause: error,
    });
  const isOff = cause instanceof JetStreamApiError && NOT_ENABLED.has(cause.code);
  if (isOff || isUnanswered(error))
    return new CourierError("unavailable", `${at} has no JetStream bucket for it now`, {
      hint: "Check that JetStream is on there, and start gpu-server once: it makes the buckets",
      cause: error,
    });
  if (cause instanceof JetStreamApiError) return apiFailure(cause, at);
  if (cause instanceof InvalidArgumentError && cause.message.includes("max_payload"))
    return new CourierError("exhausted", `${at} takes no message of this size`, {
      hint: "Set max_payload: 8MB in the configuration of nats-server",
      cause: error,
    });
  if (AWAY.some((kind) => cause instanceof kind))
    return new CourierError("unavailable", `${at} does not answer`, {
      hint: "It is tried again by itself",
      cause: error,
    });
  return new CourierError("internal", `${at} failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause: error,
  });
}

function apiFailure(error: JetStreamApiError, at: string): CourierError {
  const isFull = error.code === STORE_FAILED && /no space|maximum/.test(error.message);
  if (isFull || NO_SPACE.has(error.code))
    return new CourierError("exhausted", `${at} is full`, {
      hint: "Free space on the disk of nats-server, or raise its limits for JetStream",
      cause: error,
    });
  if (error.status === 503 || NOT_NOW.has(error.code))
    return new CourierError("unavailable", `${at} cannot store or read for now: ${error.message}`, {
      hint: "Look into the log of nats-server",
      cause: error,
    });
  return new CourierError("internal", `${at} refuses it: ${error.message} (${error.code})`, { cause: error });
}

/** A request's error wraps what happened, and so does the client when an account has no JetStream. */
function rootOf(error: unknown): unknown {
  if (!(error instanceof Error) || error.cause === undefined) return error;
  return error instanceof RequestError || error.cause instanceof JetStreamApiError ? error.cause : error;
}
