// Models on an Ollama that is real: makes one without a download, and removes what is there.
import { z } from "zod";

const STRING = 8;
const UINT32 = 4;
const Tags = z.object({ models: z.array(z.object({ name: z.string() })) });

/** Creates a model of a few bytes that `/api/show` can read. It cannot be loaded. */
export async function createSample(ollamaUrl: string, name: string): Promise<void> {
  const file = smallestGguf();
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(file).digest("hex")}`;
  await expectOk(await fetch(`${ollamaUrl}/api/blobs/${digest}`, { method: "POST", body: file }));
  const body = JSON.stringify({ model: name, files: { "sample.gguf": digest }, stream: false });
  await expectOk(await fetch(`${ollamaUrl}/api/create`, { method: "POST", body }));
}

/** @returns when it has no model left */
export async function removeModels(ollamaUrl: string): Promise<void> {
  const { models } = Tags.parse(await (await fetch(`${ollamaUrl}/api/tags`)).json());
  for (const { name } of models) {
    const unload = JSON.stringify({ model: name, keep_alive: 0 });
    await expectOk(await fetch(`${ollamaUrl}/api/generate`, { method: "POST", body: unload }));
    const body = JSON.stringify({ model: name });
    await expectOk(await fetch(`${ollamaUrl}/api/delete`, { method: "DELETE", body }));
  }
}

async function expectOk(response: Response): Promise<void> {
  const text = await response.text();
  if (!response.ok) throw new Error(`Ollama answered ${response.status}: ${text.slice(0, 300)}`);
}

/** One tensor: without any, Ollama 0.30 and newer wants a program that it ships beside it. */
function smallestGguf(): Buffer<ArrayBuffer> {
  const pairs = [
    [string("general.architecture"), uint32(STRING), string("llama")],
    [string("general.file_type"), uint32(UINT32), uint32(1)],
    [string("llama.context_length"), uint32(UINT32), uint32(256)],
    [string("llama.embedding_length"), uint32(UINT32), uint32(32)],
  ];
  const tensor = [string("v.dummy"), uint32(1), uint64(8), uint32(0), uint64(0)];
  const head = [Buffer.from("GGUF"), uint32(3), uint64(1), uint64(pairs.length), ...pairs.flat(), ...tensor];
  const length = head.reduce((sum, part) => sum + part.length, 0);
  const padding = Buffer.alloc((32 - (length % 32)) % 32);
  return Buffer.concat([...head, padding, Buffer.alloc(32)]);
}

function string(value: string): Buffer {
  return Buffer.concat([uint64(value.length), Buffer.from(value)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
