// The shell around all views: the page to sign in, or the navigation, the view, and the messages.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { systemClock } from "../../base/clock.ts";
import { useStore } from "../parts/use_store.ts";
import { LiveFleet } from "../store/live_fleet.ts";
import { type Console, ConsoleContext, useConsole } from "./console.ts";
import { Header } from "./header.tsx";
import { SignIn } from "./sign_in.tsx";
import { ToastList } from "./toast_list.tsx";
import type { View } from "./view.ts";
import { followWhileSeen } from "./wake.ts";

interface AppProps {
  readonly console: Console;
  readonly views: readonly View[];
}

export function App({ console, views }: AppProps): JSX.Element | null {
  const { session } = console;
  const present = useStore(session, () => session.present);
  useEffect(() => void session.look(), [session]);
  if (present === undefined) return null;
  return (
    <ConsoleContext.Provider value={console}>
      {present === null ? <SignIn session={session} /> : <SignedIn views={views} />}
      <ToastList />
    </ConsoleContext.Provider>
  );
}

function SignedIn({ views }: { readonly views: readonly View[] }): JSX.Element {
  const { api, fleet, router, session } = useConsole();
  const path = useStore(router, () => router.place.path.join("/"));
  useEffect(() => followWhileSeen(new LiveFleet({ api, fleet, clock: systemClock })), [api, fleet]);
  const shown = views.filter(({ needs }) => needs === undefined || session.present?.may[needs] === true);
  const view = shown.find(({ id }) => id === router.place.path[0]) ?? shown[0];
  const main = useFocus(path);
  return (
    <div class="shell">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <Header views={shown} current={view?.id ?? ""} />
      <main id="main" ref={main} tabIndex={-1}>
        {view !== undefined && <view.Page key={view.id} rest={router.place.path.slice(1)} />}
      </main>
    </div>
  );
}

/** After each change of the place, the keyboard and a screen reader continue at the beginning of the new content. */
function useFocus(path: string) {
  const main = useRef<HTMLElement>(null);
  const before = useRef(path);
  useEffect(() => {
    const heading = main.current?.querySelector("h1");
    document.title = `${heading?.textContent ?? "Console"} · gpu-courier`;
    if (before.current === path) return;
    before.current = path;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [path]);
  return main;
}
