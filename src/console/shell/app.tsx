// The shell around all views: the page to sign in, or the navigation, the view, and the messages.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { systemClock } from "../../base/clock.ts";
import type { CourierError } from "../../base/errors.ts";
import { Failure } from "../parts/panel.tsx";
import { useStore } from "../parts/use_store.ts";
import type { Session } from "../session.ts";
import { LiveFleet } from "../store/live_fleet.ts";
import { type Console, ConsoleContext, useConsole } from "./console.ts";
import { Header } from "./header.tsx";
import { addressOf } from "./router.ts";
import { SignIn, Wordmark } from "./sign_in.tsx";
import { ToastList } from "./toast_list.tsx";
import { useHasMirror } from "./use_mirror.ts";
import type { View } from "./view.ts";
import { followWhileSeen } from "./wake.ts";

/** While the server cannot be reached. */
const AGAIN_MS = 1_000;

interface AppProps {
  readonly console: Console;
  readonly views: readonly View[];
}

export function App({ console, views }: AppProps): JSX.Element | null {
  const { session } = console;
  const present = useStore(session, () => session.present);
  const failure = useStore(session, () => session.failure);
  useEffect(() => void begin(console), [console]);
  if (present === undefined) return failure === undefined ? null : <NoServer session={session} failure={failure} />;
  return (
    <ConsoleContext.Provider value={console}>
      {present === null ? <SignIn session={session} /> : <SignedIn views={views} />}
      <ToastList />
    </ConsoleContext.Provider>
  );
}

async function begin({ session, toasts }: Console): Promise<void> {
  const code = takeCode();
  const refused = code === undefined ? undefined : await session.follow(code);
  if (refused !== undefined) toasts.failed(refused);
  else if (code === undefined) await session.look();
}

/** The code of a sign-in link, `#code=…`, which must not stay in the address. */
function takeCode(): string | undefined {
  const [, code] = /^#code=(\S+)$/.exec(location.hash) ?? [];
  if (code !== undefined) history.replaceState(null, "", addressOf());
  return code;
}

function NoServer({ session, failure }: { readonly session: Session; readonly failure: CourierError }): JSX.Element {
  useEffect(() => {
    const timer = setInterval(() => void session.look(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [session]);
  return (
    <main class="sign-in">
      <div class="card">
        <Wordmark />
        <h1>No connection</h1>
        <Failure failure={failure} />
      </div>
    </main>
  );
}

function SignedIn({ views }: { readonly views: readonly View[] }): JSX.Element {
  const { api, fleet, router, session } = useConsole();
  const path = useStore(router, () => router.place.path.join("/"));
  useEffect(() => followWhileSeen(new LiveFleet({ api, fleet, clock: systemClock })), [api, fleet]);
  const hasMirror = useHasMirror();
  const shown = views.filter(({ needs, needsMirror }) => {
    const may = needs === undefined || needs.some((each) => session.present?.may[each] === true);
    return may && (needsMirror !== true || hasMirror === true);
  });
  const [wanted] = router.place.path;
  const awaited = views.find(({ id, needsMirror }) => id === wanted && needsMirror === true && hasMirror === undefined);
  const view = shown.find(({ id }) => id === wanted) ?? (awaited === undefined ? shown[0] : undefined);
  const main = useFocus(path, view?.id);
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
function useFocus(path: string, view: string | undefined) {
  const main = useRef<HTMLElement>(null);
  const before = useRef(path);
  useEffect(() => {
    const heading = main.current?.querySelector("h1");
    document.title = `${heading?.textContent ?? "Console"} · gpu-courier`;
    if (before.current === path) return;
    before.current = path;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [path, view]);
  return main;
}
