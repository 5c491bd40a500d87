// A gpu-server on a socket that serves the mirror of a share, and the mirror as a box reads it from there.
import { RemoteMirror } from "#src/agent/pulls/mirror/remote_mirror.ts";
import { systemClock } from "#src/base/clock.ts";
import { createApi } from "#src/server/api.ts";
import { type Listener, listen } from "#src/server/http/listen.ts";
import { MirrorFiles } from "#src/server/models/mirror_files/mirror_files.ts";
import type { Mirror } from "#src/transport/mirror/mirror.ts";
import { openServer, type ServerUnderTest } from "./server_fixture.ts";

export class MirrorServer implements AsyncDisposable {
  readonly server: ServerUnderTest;
  readonly files: MirrorFiles;
  readonly base: string;
  readonly token: string;
  /** As the box has it. */
  readonly mirror: RemoteMirror;
  readonly #listener: Listener;

  private constructor(server: ServerUnderTest, files: MirrorFiles) {
    this.server = server;
    this.files = files;
    this.token = server.tokens.add("box", "mirror");
    this.#listener = listen({ host: "127.0.0.1", port: 0 }, createApi(server.services).fetch, 60_000);
    this.base = `${this.#listener.url}/mirror`;
    this.mirror = new RemoteMirror({ base: this.base, token: () => this.token, ca: undefined, clock: systemClock });
  }

  static async open(mirror: Mirror): Promise<MirrorServer> {
    const files = new MirrorFiles(mirror);
    return new MirrorServer(await openServer({ mirrorFiles: files }), files);
  }

  /** @param path below /mirror */
  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${this.token}`);
    return await fetch(`${this.base}${path}`, { ...init, headers, redirect: "manual", decompress: false });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close(0);
    await this.server[Symbol.asyncDispose]();
  }
}
