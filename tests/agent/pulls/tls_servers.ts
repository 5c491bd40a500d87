// Servers on loopback that speak TLS, and a fetch that trusts the certificate which they share.
import type { RegistryOptions } from "#src/program/registry/registry.ts";

export interface TlsServer {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** The same server by a name: `localhost:PORT`. */
  readonly byName: string;
  /** The path of each request. */
  readonly requests: string[];
}

const NEW_CERTIFICATE = [
  ..."openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2 -subj /CN=registry".split(" "),
  ..."-addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout - -out -".split(" "),
];

export class TlsServers {
  /** Key and certificate, which is its own authority. */
  readonly pem: string;
  readonly #servers: Bun.Server<undefined>[] = [];

  constructor() {
    const { success, stdout, stderr } = Bun.spawnSync(NEW_CERTIFICATE);
    if (!success) throw new Error(`No certificate: ${stderr.toString()}`);
    this.pem = stdout.toString();
  }

  /** As `fetch`; trusts these servers only. */
  readonly fetch: NonNullable<RegistryOptions["fetch"]> = async (url, init) => {
    return await fetch(url, { ...init, tls: { ca: this.pem } });
  };

  start(answer: (url: URL, request: Request) => Response): TlsServer {
    const requests: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { key: this.pem, cert: this.pem },
      fetch: (request) => {
        const url = new URL(request.url);
        requests.push(url.pathname);
        return answer(url, request);
      },
    });
    this.#servers.push(server);
    return { host: `127.0.0.1:${server.port}`, byName: `localhost:${server.port}`, requests };
  }

  async stop(): Promise<void> {
    for (const server of this.#servers.splice(0)) await server.stop(true);
  }
}
