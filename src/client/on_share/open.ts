// Opens the share for one run of gpuctl.
import { compareNames } from "../../base/order.ts";
import { Fleet } from "../../courier/fleet.ts";
import type { NatsFlags } from "../../program/transport_flags.ts";
import { sharePath } from "../../transport/address.ts";
import { mostStatesOf } from "../../transport/several.ts";
import type { VerifyMode } from "../../trust/agents/known_agents.ts";
import { readKey } from "../../trust/key_file.ts";
import type { ClientIo, Watch } from "../io.ts";
import { openRoster } from "../roster/kept.ts";
import type { Reached } from "../run/in_session.ts";
import type { OpenShare, Session } from "../session.ts";
import { KeptKeys } from "./kept_keys.ts";
import { type Addresses, openEach, openSeveral } from "./several.ts";
import { ShareCourier } from "./share_courier.ts";

export interface ShareOptions {
  /** Of the transports, in order. What gpuctl keeps of them is kept under the first. */
  readonly addresses: Addresses;
  readonly nats: NatsFlags;
  readonly watch: Watch;
  readonly timeoutMs: number;
  /** Undefined: `all` with operators, otherwise `known`. */
  readonly verifyAgents: VerifyMode | undefined;
  /** The file with the operators' keys; undefined: no operator is trusted. */
  readonly operatorKeys: string | undefined;
}

/** @throws CourierError when a file of keys cannot be used */
export async function openShare(
  io: ClientIo,
  options: ShareOptions,
  { printer, waiting }: Pick<Session, "printer" | "waiting">,
): Promise<Reached> {
  const signingKey = readKey(io.keyFile);
  const { addresses, operatorKeys, verifyAgents, timeoutMs } = options;
  const [address] = addresses;
  const roster = operatorKeys === undefined ? null : openRoster(io, address, operatorKeys);
  const verify = verifyAgents ?? (roster === null ? "known" : "all");
  const transports = await openEach(io, addresses, options.watch, options.nats);
  const keys = new KeptKeys(io.knownAgentsFile, address, verify, roster ?? undefined, mostStatesOf(transports));
  const transport = openSeveral(transports, io.clock, {
    keys: keys.agents,
    left: (description, { message, hint }) => printer.note(`Not included: ${description}: ${message}`, hint),
  });
  const path = addresses.map(sharePath).find((each) => each !== null) ?? null;
  const share: OpenShare = { transport, printer, roster, path, saveKeys: () => keys.save() };
  const { requestedBy, clock } = io;
  const trust = { signingKey, agents: keys.agents };
  const fleet = new Fleet(transport, clock, keys.agents, compareNames);
  const courier = new ShareCourier(share, {
    sender: "gpuctl",
    timeoutMs,
    requestedBy,
    ...trust,
    waits: waiting,
    clock,
    fleet,
  });
  return {
    courier,
    share,
    close: async (status) => {
      keys.close(printer, status !== 0);
      await courier.close().catch(() => undefined);
      await transport.close().catch(() => undefined);
    },
  };
}
