// The failures of the routes under /v1, as /openapi.json describes them: a problem document for each status.
import { type ErrorCode as Code, CourierError } from "../../../base/errors.ts";
import { Problem } from "../../../documents/problem.ts";
import { problemOf } from "../../http/problem.ts";
import { VIEWER_RATE } from "../../limits/request_rate.ts";

const failed = (code: Code, message: string, hint?: string) => new CourierError(code, message, { hint });

/** Each with an example. */
const FAILURES = {
  400: {
    description: "The request is wrong (`invalid`): `detail` names the field",
    example: failed("invalid", 'Unknown query parameter "agnet": did you mean "agent"?'),
  },
  401: {
    description: "No valid token was sent (`unauthenticated`): an unknown one, or one that was revoked or has expired",
    example: failed("unauthenticated", "No token was sent"),
  },
  403: {
    description:
      "The role of the token, its agents or its verbs do not permit this (`forbidden`), or the agent refuses it",
    example: failed("forbidden", 'Token "dashboard" has the role viewer, which does not permit this'),
  },
  404: {
    description: "No such agent, model or job (`not_found`)",
    example: failed("not_found", 'Unknown agent "gpu-9"', "Known agents: gpu-1, gpu-2"),
  },
  409: {
    description: "Already exists, has already ended, or is in use (`conflict`)",
    example: failed("conflict", "Cannot cancel the pull of phi4:latest: it has already succeeded"),
  },
  413: {
    description: "The body is too large (`invalid`)",
    example: failed("invalid", "The body is larger than 65536 bytes", "Send only the fields that the route needs"),
  },
  415: {
    description: "The body is not JSON by its `Content-Type` (`invalid`)",
    example: failed(
      "invalid",
      'Cannot read a body of type "text/plain"',
      "Send JSON, with the header Content-Type: application/json",
    ),
  },
  429: {
    description: `Too many at once (\`exhausted\`): a token of the role \`viewer\`, for some agents or without a changing verb may send ${VIEWER_RATE.perSecond} requests a second, and ${VIEWER_RATE.burst} after a pause`,
    example: failed("exhausted", 'Token "dashboard" sends too many requests', "Wait 1 s"),
  },
  500: {
    description: "An unexpected failure (`internal`), here or on the agent",
    example: failed("internal", "Unexpected failure: the log of gpu-server has the cause"),
  },
  501: {
    description: "This agent does not support it (`unimplemented`)",
    example: failed("unimplemented", "gpu-1 is a legacy service and cannot copy models"),
  },
  503: {
    description: "The share, the agent or its Ollama cannot be reached (`unavailable`)",
    example: failed("unavailable", "gpu-1 has been silent for 32 s", "Check that the machine is up"),
  },
  504: {
    description: "The agent did not respond in time (`deadline_exceeded`): a change may still happen",
    example: failed("deadline_exceeded", "gpu-1 did not respond within 30 s", "Check before sending it again"),
  },
  507: {
    description: "The agent has no disk space, memory or queue place left (`exhausted`)",
    example: failed("exhausted", "9.1 GB needed, 4.0 GB free"),
  },
} as const;
type Status = keyof typeof FAILURES;

const RETRY = {
  headers: { "Retry-After": { schema: { type: "integer" as const }, description: "Seconds" } },
};

/** A response of one status. */
export function failureOf(status: Status) {
  const { description, example } = FAILURES[status];
  return {
    description,
    ...(status === 429 || status === 503 ? RETRY : {}),
    content: { "application/problem+json": { schema: Problem, example: problemOf(status, example) } },
  };
}

function failuresOf<const Statuses extends readonly Status[]>(...statuses: Statuses) {
  const entries = statuses.map((status) => [status, failureOf(status)] as const);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries() loses which keys there are
  return Object.fromEntries(entries) as Record<Statuses[number], ReturnType<typeof failureOf>>;
}

/** Of every route. The last one is not ours: the socket closes at 16 KiB, without a document. */
const ALWAYS = {
  ...failuresOf(400, 401, 403, 429, 500, 503),
  431: { description: "The address and the headers are too long" },
};

/** The failures of a route: those of every route, and these. */
export function failures<const Statuses extends readonly Status[]>(...statuses: Statuses) {
  return { ...ALWAYS, ...failuresOf(...statuses) };
}
