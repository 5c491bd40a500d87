// The page for signing in with a token.
import type { JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { asCourierError, type CourierError } from "../../base/errors.ts";
import { useStore } from "../parts/use_store.ts";
import type { Session } from "../session.ts";

export function SignIn({ session }: { readonly session: Session }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const [failure, setFailure] = useState<CourierError>();
  const [isAsking, setAsking] = useState(false);
  const notice = useStore(session, () => session.notice);
  useEffect(() => {
    document.title = "Sign in · gpu-courier";
    input.current?.focus();
  }, []);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const token = input.current?.value.trim() ?? "";
    if (token === "" || isAsking) return input.current?.focus();
    setAsking(true);
    await session.signIn({ token }).catch((error: unknown) => {
      setFailure(asCourierError(error));
      input.current?.select();
    });
    setAsking(false);
  };
  return (
    <main class="sign-in">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <Wordmark />
        <h1>Sign in</h1>
        {notice !== "" && <p class="notice">{notice}</p>}
        <TokenField input={input} failure={failure} />
        <button type="submit" class="button primary wide" aria-disabled={isAsking}>
          Sign in
        </button>
        <p class="quiet small">
          An operator creates a token with <code>gpu-server token add NAME</code>.
        </p>
      </form>
    </main>
  );
}

interface TokenFieldProps {
  readonly input: RefObject<HTMLInputElement | null>;
  readonly failure: CourierError | undefined;
}

function TokenField({ input, failure }: TokenFieldProps): JSX.Element {
  return (
    <div>
      {/* Password managers file a token under a name. */}
      <input type="text" name="username" autocomplete="username" value="gpu-courier" hidden readOnly />
      <label class="field">
        <span>Token</span>
        <input
          ref={input}
          type="password"
          name="token"
          autocomplete="current-password"
          spellcheck={false}
          aria-invalid={failure !== undefined}
          aria-describedby="sign-in-failure"
        />
      </label>
      <p class="failure" id="sign-in-failure" role="alert">
        {failure?.message}
        {failure?.hint !== undefined && <span class="hint">{failure.hint}</span>}
      </p>
    </div>
  );
}

export function Wordmark(): JSX.Element {
  return (
    <span class="wordmark">
      <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
        <rect width="32" height="32" rx="7" class="mark-ground" />
        <path d="M7 10.5h12.5M7 16h18M7 21.5h9" class="mark-lines" />
        <circle cx="24" cy="10.5" r="2.4" class="mark-dot" />
      </svg>
      gpu-courier
    </span>
  );
}
