// The flags of the console: whether there is one, and how browsers reach it.
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { CourierError } from "../../../base/errors.ts";
import { flag, parse } from "../../../program/flags.ts";
import { isRange } from "../trusted_proxies.ts";

const GROUP = "The console:";

export const consoleFlags = {
  console: () =>
    flag("--console <switch>", "on: a page at / for people who sign in; off: none, and no sessions")
      .helpGroup(GROUP)
      .choices(["on", "off"] as const)
      .default("on" as const),
  publicUrl: () =>
    flag("--public-url <url>", "where browsers find gpu-server, behind a proxy: https://gpu.example.org")
      .helpGroup(GROUP)
      .argParser(parsePublicUrl),
  trustedProxy: () =>
    flag("--trusted-proxy <network>", "a proxy whose X-Forwarded-For is believed: 127.0.0.1 or 10.0.0.0/8; repeatable")
      .helpGroup(GROUP)
      .argParser(parse.list(parseRange)),
  manageTokens: () =>
    flag("--manage-tokens", "let tokens of the role gp add and revoke tokens over HTTP")
      .helpGroup(GROUP)
      .default(false),
};

export interface ConsoleOptions {
  readonly console: "on" | "off";
  readonly publicUrl?: URL | undefined;
  readonly trustedProxy?: readonly string[] | undefined;
  readonly manageTokens: boolean;
  readonly corsOrigin?: readonly string[] | undefined;
}

/** @throws CourierError `invalid` when the pages of this server are also named as those of others */
export function consoleSettings(options: ConsoleOptions) {
  const { trustedProxy = [], manageTokens, corsOrigin = [] } = options;
  const publicUrl = options.publicUrl ?? null;
  if (publicUrl !== null && corsOrigin.includes(publicUrl.origin))
    throw new CourierError("invalid", `--cors-origin names gpu-server's own pages: ${publicUrl.origin}`, {
      hint: "Leave it out: they need no permission",
    });
  return { console: options.console === "on", publicUrl, trustedProxies: trustedProxy, managesTokens: manageTokens };
}

function parsePublicUrl(text: string): URL {
  const url = URL.parse(text);
  const isUsable =
    url !== null && ["https:", "http:"].includes(url.protocol) && url.username === "" && url.password === "";
  if (isUsable && url.search === "" && url.hash === "") return url;
  throw new InvalidArgumentError("Give the address that browsers use, for example https://gpu.example.org");
}

function parseRange(text: string): string {
  if (isRange(text)) return text;
  throw new InvalidArgumentError("Give an address or a network, for example 127.0.0.1 or 10.0.0.0/8");
}
