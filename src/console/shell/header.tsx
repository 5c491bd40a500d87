// The header of the page: the views, whether what is shown is current, and who is signed in.
import type { JSX } from "preact";
import { useStore } from "../parts/use_store.ts";
import { isActive } from "../store/job_facts.ts";
import { useActing, useConsole } from "./console.ts";
import { addressOf } from "./router.ts";
import { Wordmark } from "./sign_in.tsx";
import { useFleet } from "./use_fleet.ts";
import type { View } from "./view.ts";

interface HeaderProps {
  readonly views: readonly View[];
  readonly current: string;
}

export function Header({ views, current }: HeaderProps): JSX.Element {
  const running = useFleet((fleet) => fleet.jobs.filter(isActive).length);
  return (
    <header class="top">
      <a class="home" href={addressOf("boxes")} aria-label="gpu-courier, all boxes">
        <Wordmark />
      </a>
      <nav aria-label="Views">
        {views.map(({ id, title }) => (
          <a key={id} href={addressOf(id)} aria-current={id === current ? "page" : undefined}>
            {title}
            {id === "jobs" && running > 0 && <span class="badge"> {running}</span>}
          </a>
        ))}
      </nav>
      <div class="top-end">
        <ContactSign />
        <Account />
      </div>
    </header>
  );
}

/** Whether what is shown is current. */
function ContactSign(): JSX.Element {
  const contact = useFleet((fleet) => fleet.contact);
  const words = { connecting: "Connecting…", live: "Live", lost: "Reconnecting…" }[contact];
  return (
    <span class={`contact ${contact}`} role="status">
      <span class="dot" aria-hidden="true" />
      {words}
    </span>
  );
}

function Account(): JSX.Element | null {
  const { session } = useConsole();
  const act = useActing();
  const present = useStore(session, () => session.present);
  if (!present) return null;
  return (
    <div class="account">
      <span class="who">
        {present.name}
        {!present.may.change && <span class="quiet"> · read-only</span>}
      </span>
      <button type="button" class="button quiet-button" onClick={() => void act(async () => await session.signOut())}>
        Sign out
      </button>
    </div>
  );
}
