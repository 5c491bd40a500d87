// How a simulated Ollama asks a registry that really answers.
import { type Layer, type Manifest, readManifest } from "./manifest.ts";
import type { Name } from "./name.ts";
import { PullError } from "./pull_error.ts";

/** Only registries of this machine are asked: a test must not reach the internet. */
export function isReal({ host }: Name): boolean {
  return /^127\.0\.0\.1:\d+$/.test(host);
}

/** @throws PullError in the words of the real one */
export async function fetchManifest(name: Name, signal: AbortSignal): Promise<Manifest> {
  const url = `${modelUrl(name)}/manifests/${name.tag}`;
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch {
    throw new PullError(
      `pull model manifest: Get "${url}": dial tcp ${name.host}: connect: ${signal.aborted ? "context canceled" : "connection refused"}`,
    );
  }
  const text = await response.text();
  if (response.status === 404) throw new PullError("pull model manifest: file does not exist");
  // Without a realm to log in at: what a registry with a login of another kind answers.
  if (response.status === 401) {
    throw new PullError(`pull model manifest: realm host "" does not match original host "${name.host}"`);
  }
  if (!response.ok) throw new PullError(`pull model manifest: ${response.status}: ${text}`);
  return readManifest(name, text);
}

export function blobUrl(name: Name, { digest }: Layer): string {
  return `${modelUrl(name)}/blobs/${digest}`;
}

function modelUrl({ host, namespace, model }: Name): string {
  return `http://${host}/v2/${namespace}/${model}`;
}
