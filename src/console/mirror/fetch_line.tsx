// One fetch into the mirror as an entry of a list: its bar with speed and time left, or how it ended.
import type { JSX } from "preact";
import type { FetchDocument } from "../../documents/models/mirror.ts";
import { whereText } from "../models/facts/model_facts.ts";
import { Progress } from "../parts/bar.tsx";
import { Action } from "../parts/button.tsx";
import { Status } from "../parts/status.tsx";
import { Ago, Foreign } from "../parts/text.tsx";
import { useActing, useConsole } from "../shell/console.ts";
import { useDocument, useLooks } from "../shell/use_document.ts";
import { useMayOnAll, useServerNow } from "../shell/use_fleet.ts";
import { isFetching } from "../shell/use_mirror.ts";
import { fractionOf, progressOf, stateOf } from "./fetch_words.ts";

interface FetchLineProps {
  readonly fetch: FetchDocument;
  /** Reads the fetches again. */
  readonly again: () => Promise<void>;
}

export function FetchLine({ fetch, again }: FetchLineProps): JSX.Element {
  const { model, error, finished_at: ended, requested_by: who } = fetch;
  const nowMs = useServerNow(30_000);
  const isActive = isFetching(fetch);
  return (
    <li class="job">
      <FetchHead fetch={fetch} again={again} />
      {isActive && (
        <div class="job-bar">
          <Progress value={fractionOf(fetch)} isMoving={fetch.state === "running"} label={`${model} into the mirror`} />
        </div>
      )}
      <div class="job-detail quiet">
        {isActive && <span>{progressOf(fetch)}</span>}
        {fetch.state === "running" && <FollowingPulls id={fetch.id} />}
        {error !== null && <Foreign class="wrapped" text={error} />}
        <span class="who">
          {ended !== null && <Ago at={ended} nowMs={nowMs} />}
          {who !== null && <Foreign text={`${ended === null ? "" : ", "}by ${who}`} />}
        </span>
      </div>
    </li>
  );
}

/** The boxes that pull it afterwards. Only the document of one fetch has them. */
function FollowingPulls({ id }: { readonly id: string }): JSX.Element | null {
  const { document } = useDocument<FetchDocument>(`v1/mirror/fetches/${encodeURIComponent(id)}`, useLooks());
  const boxes = document?.pulls?.map(({ agent }) => agent) ?? [];
  return boxes.length === 0 ? null : <span>{`then pulled on ${whereText(boxes)}`}</span>;
}

function FetchHead({ fetch, again }: FetchLineProps): JSX.Element {
  const { model, agent } = fetch;
  const { tone, words } = stateOf(fetch);
  const fraction = fractionOf(fetch);
  return (
    <div class="job-head">
      <span class="job-name">
        <Foreign class="strong" text={model} />
        {agent !== null && <span class="quiet">{` by ${agent}`}</span>}
      </span>
      <Status tone={tone}>{words}</Status>
      {isFetching(fetch) && fraction !== null && <span class="percent">{`${Math.floor(fraction * 100)} %`}</span>}
      <FetchActions fetch={fetch} again={again} />
    </div>
  );
}

/** Cancels an active fetch, and asks the one who fetched again for one that did not succeed. */
function FetchActions({ fetch: { id, agent, model, state }, again }: FetchLineProps): JSX.Element | null {
  const { api } = useConsole();
  const act = useActing();
  const [mayCancel, mayFetch] = [useMayOnAll("cancel_job"), useMayOnAll("pull_model")];
  const isActive = state === "queued" || state === "running";
  if (state === "succeeded" || !(isActive ? mayCancel : mayFetch)) return null;
  const change = async (): Promise<void> => {
    if (isActive) await api.delete<FetchDocument>(`v1/mirror/fetches/${encodeURIComponent(id)}`);
    else await api.post<FetchDocument>("v1/mirror/fetches", agent === null ? { model } : { model, agent });
    await again();
  };
  return (
    <Action
      run={async () => await act(change)}
      label={isActive ? `Cancel the fetch of ${model}` : `Retry the fetch of ${model}`}
    >
      {isActive ? "Cancel" : "Retry"}
    </Action>
  );
}
