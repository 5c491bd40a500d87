// --max-wait of pull and wait: how long they follow pulls, which then continue without them.
import { CourierError } from "../../base/errors.ts";
import { rangesText } from "../../base/order.ts";
import { flag, parse } from "../../program/flags.ts";
import { isEnded, type Job } from "../../protocol.ts";
import type { Session } from "../session.ts";
import type { Pulled } from "./follow.ts";

export const MAX_WAIT = flag("--max-wait <seconds>", "end with exit status 75 if the pulls take longer")
  .argParser(parse.seconds)
  .conflicts("detach");

/**
 * What `run` followed, until it has ended or the time is over.
 * @param seconds undefined: to the end
 * @throws CourierError `deadline_exceeded` with the pulls that are left
 */
export async function withinMaxWait(
  session: Session,
  seconds: number | undefined,
  run: (signal: AbortSignal) => Promise<readonly Pulled[]>,
): Promise<readonly Pulled[]> {
  const { io } = session;
  const late = new AbortController();
  const ended = new AbortController();
  if (seconds !== undefined) void abortAfter(session, seconds, late, ended.signal);
  const pulled = await run(AbortSignal.any([io.signal, late.signal])).finally(() => ended.abort());
  const left = pulled.filter(({ job }) => !isEnded(job));
  if (!late.signal.aborted || io.signal.aborted || left.length === 0) return pulled;
  throw new CourierError("deadline_exceeded", `Not done within ${seconds} s: ${describeLeft(left)}`, {
    hint: "The pulls continue: gpuctl jobs shows their progress",
  });
}

async function abortAfter({ io }: Session, seconds: number, late: AbortController, ended: AbortSignal): Promise<void> {
  await io.clock.sleep(seconds * 1000, ended);
  if (!ended.aborted) late.abort();
}

function describeLeft(left: readonly { readonly job: Job }[]): string {
  const byModel = Map.groupBy(left, ({ job }) => job.model);
  const places = (pulls: readonly { readonly job: Job }[]): string => rangesText(pulls.map(({ job }) => job.agent));
  return [...byModel].map(([model, pulls]) => `${model} on ${places(pulls)}`).join(", ");
}
