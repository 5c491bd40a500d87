// The fetches into the mirror: those under way, and where there is room the last that ended.
import type { JSX } from "preact";
import { Failure, Panel } from "../parts/panel.tsx";
import { addressOf } from "../shell/router.ts";
import { type Fetches, isFetching } from "../shell/use_mirror.ts";
import { FetchLine } from "./fetch_line.tsx";

const MOST = 2;
const ENDED = 5;

interface FetchesProps {
  readonly read: Fetches;
}

/** For the view of the mirror. */
export function FetchesPanel({ read: { fetches, failure, isRead, again } }: FetchesProps): JSX.Element {
  const active = fetches.filter(isFetching);
  const ended = fetches.filter((fetch) => !isFetching(fetch)).slice(0, ENDED);
  return (
    <Panel title="Fetches">
      {failure !== undefined && <Failure failure={failure} />}
      {isRead && fetches.length === 0 && <p class="quiet none">Nothing has been fetched yet.</p>}
      <ul class="jobs" aria-label="Fetches">
        {[...active, ...ended].map((fetch) => (
          <FetchLine key={fetch.id} fetch={fetch} again={again} />
        ))}
      </ul>
    </Panel>
  );
}

/** For other views: absent while nothing is fetched. */
export function FetchesNow({ read: { fetches, again } }: FetchesProps): JSX.Element | null {
  const active = fetches.filter(isFetching);
  if (active.length === 0) return null;
  const more = active.length - MOST;
  return (
    <Panel
      title="Fetching into the mirror"
      aside={<a href={addressOf("mirror")}>{more > 0 ? `${more} more in Mirror` : "Mirror"}</a>}
    >
      <ul class="jobs">
        {active.slice(0, MOST).map((fetch) => (
          <FetchLine key={fetch.id} fetch={fetch} again={again} />
        ))}
      </ul>
    </Panel>
  );
}
