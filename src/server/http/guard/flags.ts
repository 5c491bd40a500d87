// The flags that limit by which names, and from which web pages, the API can be reached.
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { flag, parse } from "../../../program/flags.ts";
import { originOf } from "./cross_origin.ts";
import { hostName } from "./trusted_hosts.ts";

export const guardFlags = {
  trustedListen: () =>
    flag("--trusted-listen <host:port>", "also serve /api/health and /api/models here, without tokens").argParser(
      parse.address,
    ),
  trustedHost: () =>
    flag(
      "--trusted-host <name>",
      "name by which clients call --trusted-listen, in addition to its address and localhost; repeatable",
    ).argParser(parse.list(parseHost)),
  corsOrigin: () =>
    flag(
      "--cors-origin <origin>",
      "web pages that may use the API in a browser, with a token, by their origin; repeatable",
    ).argParser(parse.list(parseOrigin)),
};

function parseHost(text: string): string {
  const name = /:\d*$/.test(text) ? undefined : hostName(text);
  if (name !== undefined) return name;
  throw new InvalidArgumentError("Give a name without a port, for example gpu.example.org");
}

function parseOrigin(text: string): string {
  const origin = originOf(text);
  if (origin !== undefined) return origin;
  const why = text === "*" ? "Any page that gets hold of a token could use it from anywhere. " : "";
  throw new InvalidArgumentError(`${why}Give scheme, host and port, for example https://dash.example.org`);
}
