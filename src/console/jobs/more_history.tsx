// Reads older jobs, a page at a time.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { JobsDocument } from "../../documents/jobs.ts";
import { Action } from "../parts/button.tsx";
import { useActing, useConsole } from "../shell/console.ts";
import { useFleet } from "../shell/use_fleet.ts";
import { HISTORY } from "../store/live_fleet.ts";

export function MoreHistory(): JSX.Element | null {
  const { api, fleet } = useConsole();
  const act = useActing();
  const count = useFleet(({ jobs }) => jobs.length);
  const [after, setAfter] = useState<string>();
  const [isDone, setDone] = useState(false);
  if (isDone || count < HISTORY) return null;
  const read = async (): Promise<void> => {
    const from = after === undefined ? "" : `&after=${encodeURIComponent(after)}`;
    let page = await api.get<JobsDocument>(`v1/jobs?sort=-created_at&limit=${HISTORY}${from}`);
    // The first page is known already.
    if (after === undefined && page.next !== undefined)
      page = await api.get(`v1/jobs?sort=-created_at&limit=${HISTORY}&after=${encodeURIComponent(page.next)}`);
    fleet.putJobs(page.jobs, Date.now());
    setAfter(page.next);
    setDone(page.next === undefined);
  };
  return (
    <p class="more">
      <Action run={async () => await act(read)}>Show older jobs</Action>
    </p>
  );
}
