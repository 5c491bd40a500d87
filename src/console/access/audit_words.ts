// An entry of the audit in words.
import { parseJson } from "../../base/foreign_text.ts";
import type { AuditEntry } from "../../documents/audit.ts";

const COMMANDS: Readonly<Record<string, string>> = {
  pull_model: "Pull",
  delete_model: "Delete",
  copy_model: "Copy",
  load_model: "Load",
  unload_model: "Unload",
  cancel_job: "Cancel the pull of",
  prune: "Remove left-over blobs",
};

const REQUESTS: readonly (readonly [pattern: RegExp, words: (name: string) => string])[] = [
  [/^POST \/v1\/tokens$/, () => "Create a token"],
  [/^DELETE \/v1\/tokens\/([^/]+)$/, (name) => `Revoke the token ${name}`],
  [/^POST \/v1\/active-models$/, () => "Set an active model"],
  [/^DELETE \/v1\/agents\/([^/]+)$/, (name) => `Forget the box ${name}`],
  [/^POST \/v1\/agents\/([^/]+)\/trust$/, (name) => `Trust the box ${name}`],
];

/** `Pull phi4:latest on gpu-1`; an unknown request is shown as it was sent. */
export function deedOf({ verb, model, agent, request, job }: AuditEntry): string {
  if (verb === null) return requestWords(request ?? "A change");
  const what = model ?? (verb === "cancel_job" && job !== null ? `job ${job}` : "");
  return [COMMANDS[verb] ?? verb, what, agent === null ? "" : `on ${agent}`].filter((part) => part !== "").join(" ");
}

function requestWords(request: string): string {
  for (const [pattern, words] of REQUESTS) {
    const [whole, name = ""] = pattern.exec(request) ?? [];
    if (whole !== undefined) return words(name);
  }
  return request;
}

/** `name grafana, role viewer`. @param details JSON */
export function detailText(details: string): string {
  const parsed = parseJson(details);
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return details;
  const text = (value: unknown): string => {
    if (Array.isArray(value)) return value.join(" ");
    return typeof value === "string" ? value : JSON.stringify(value);
  };
  return Object.entries(parsed)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${text(value)}`)
    .join(", ");
}
