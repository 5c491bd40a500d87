// The targets and secrets of webhooks, as the command line names them.
import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { CourierError } from "../../base/errors.ts";
import { readSettingsFile } from "../access/login/settings_file.ts";
import { refusal } from "./http/addresses.ts";
import { parseSecrets, type Secrets } from "./http/signature.ts";

/** As the command line gives them. */
export interface WebhookOptions {
  readonly webhook?: readonly string[] | undefined;
  readonly webhookSecretFile?: string | undefined;
  readonly webhookCa?: string | undefined;
}

export interface Target {
  /** Of its URL, which may hold a secret: the store and the API know only this. */
  readonly id: string;
  readonly url: URL;
  /** For people: without path and query. */
  readonly address: string;
}

export interface WebhookSettings {
  readonly targets: readonly Target[];
  readonly secrets: Secrets;
  /** The certificates to trust instead of the usual ones, as PEM; null: the usual ones. */
  readonly ca: string | null;
}

const MAX_TARGETS = 20;
const ID_CHARACTERS = 12;

/**
 * @returns null when no target is named
 * @throws CourierError `invalid` for options that contradict each other, and for addresses or files that cannot be used;
 * `forbidden` for a secret that this user may not read, or others may
 */
export function openWebhooks({ webhook = [], webhookSecretFile, webhookCa }: WebhookOptions): WebhookSettings | null {
  if (webhook.length === 0) {
    const option = webhookSecretFile === undefined ? "--webhook-ca" : "--webhook-secret-file";
    if (webhookSecretFile === undefined && webhookCa === undefined) return null;
    throw new CourierError("invalid", `${option} belongs to --webhook`, { hint: `Add that, or leave ${option} out` });
  }
  if (webhookSecretFile === undefined)
    throw new CourierError("invalid", "--webhook needs --webhook-secret-file", {
      hint: "Receivers verify with it where an event is from. Make it: echo whsec_$(openssl rand -base64 32)",
    });
  const text = readSettingsFile(webhookSecretFile, { option: "--webhook-secret-file", isSecret: true });
  return {
    targets: targetsOf(webhook),
    secrets: parseSecrets(text.toString("utf8"), `--webhook-secret-file: ${webhookSecretFile}`),
    ca: webhookCa === undefined ? null : certificates(webhookCa),
  };
}

function targetsOf(urls: readonly string[]): readonly Target[] {
  if (urls.length > MAX_TARGETS)
    throw new CourierError("invalid", `--webhook: ${urls.length} addresses, at most ${MAX_TARGETS} are served`);
  const targets = urls.map(parseTarget);
  const twice = targets.find(({ id }, index) => targets.findIndex((other) => other.id === id) < index);
  if (twice === undefined) return targets;
  throw new CourierError("invalid", `--webhook: ${twice.address} is named twice`);
}

function parseTarget(text: string): Target {
  const url = URL.parse(text);
  if (url === null || !["https:", "http:"].includes(url.protocol))
    throw new CourierError("invalid", "--webhook: this is not an HTTP address", {
      hint: "Give one such as https://platform.example.org/hooks/gpu",
    });
  if (url.username !== "" || url.password !== "")
    throw new CourierError("invalid", "--webhook: the address contains a password", {
      hint: "Leave it out: the receiver knows by the signature where an event is from",
    });
  url.hash = "";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const refused = isIP(host) === 0 ? null : refusal(host, url.protocol === "https:");
  if (refused !== null) throw new CourierError("invalid", `--webhook: ${refused}`);
  const id = createHash("sha256").update(url.href).digest("hex").slice(0, ID_CHARACTERS);
  return { id, url, address: url.origin };
}

function certificates(path: string): string {
  const pem = readSettingsFile(path, { option: "--webhook-ca" }).toString("utf8");
  if (pem.includes("-----BEGIN CERTIFICATE-----")) return pem;
  throw new CourierError("invalid", `--webhook-ca: ${path} has no certificate`, { hint: "It must be a PEM file" });
}
