// One fetch into the mirror as an entry of a list: its bar with speed and time left, or how it ended.
import type { JSX } from "preact";
import type { FetchDocument } from "../../documents/models/mirror.ts";
import { Progress } from "../parts/bar.tsx";
import { Action } from "../parts/button.tsx";
import { Status } from "../parts/status.tsx";
import { Ago, Foreign } from "../parts/text.tsx";
import { useActing, useConsole } from "../shell/console.ts";
import { useMayOnAll, useServerNow } from "../shell/use_fleet.ts";
import { isFetching } from "../shell/use_mirror.ts";
import { fractionOf, progressOf, stateOf } from "./fetch_words.ts";

interface FetchLineProps {
  readonly fetch: FetchDocument;
  /** Reads the fetches again. */
  readonly again: () => Promise<void>;
}

export function FetchLine({ fetch, again }: FetchLineProps): JSX.Element {
  const { model, agent, error, finished_at: ended, requested_by: who } = fetch;
  const nowMs = useServerNow(30_000);
  const { tone, words } = stateOf(fetch);
  const isActive = isFetching(fetch);
  const fraction = fractionOf(fetch);
  return (
    <li class="job">
      <div class="job-head">
        <span class="job-name">
          <Foreign class="strong" text={model} />
          {agent !== null && <span class="quiet">{` by ${agent}`}</span>}
        </span>
        <Status tone={tone}>{words}</Status>
        {isActive && fraction !== null && <span class="percent">{`${Math.floor(fraction * 100)} %`}</span>}
        <FetchActions fetch={fetch} again={again} />
      </div>
      {isActive && (
        <div class="job-bar">
          <Progress value={fraction} isMoving={fetch.state === "running"} label={`${model} into the mirror`} />
        </div>
      )}
      <div class="job-detail quiet">
        {isActive && <span>{progressOf(fetch)}</span>}
        {error !== null && <Foreign class="wrapped" text={error} />}
        <span class="who">
          {ended !== null && <Ago at={ended} nowMs={nowMs} />}
          {who !== null && <Foreign text={`${ended === null ? "" : ", "}by ${who}`} />}
        </span>
      </div>
    </li>
  );
}

/** Cancels an active fetch, and asks again for one that did not succeed. Those of agents are theirs. */
function FetchActions({ fetch: { id, agent, model, state }, again }: FetchLineProps): JSX.Element | null {
  const { api } = useConsole();
  const act = useActing();
  const [mayCancel, mayFetch] = [useMayOnAll("cancel_job"), useMayOnAll("pull_model")];
  if (agent !== null || state === "succeeded") return null;
  if (state === "queued" || state === "running") {
    const cancel = async (): Promise<void> => {
      await api.delete<FetchDocument>(`v1/mirror/fetches/${encodeURIComponent(id)}`);
      await again();
    };
    return mayCancel ? (
      <Action run={async () => await act(cancel)} label={`Cancel the fetch of ${model}`}>
        Cancel
      </Action>
    ) : null;
  }
  const retry = async (): Promise<void> => {
    await api.post<FetchDocument>("v1/mirror/fetches", { model });
    await again();
  };
  return mayFetch ? (
    <Action run={async () => await act(retry)} label={`Fetch ${model} again`}>
      Fetch again
    </Action>
  ) : null;
}
