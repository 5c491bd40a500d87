// The session of this browser: who is signed in, and what this user may do. The only module that knows how that is arranged.
import { asCourierError, type CourierError } from "../base/errors.ts";
import { Api } from "./api/api.ts";
import { Observable } from "./store/observable.ts";

export interface SessionDocument {
  readonly name: string;
  readonly role: "gp" | "viewer";
  readonly scope: { readonly agents: readonly string[] | null; readonly verbs: readonly string[] | null };
  readonly expires_at: string | null;
  readonly may: Readonly<Record<Permission, boolean>>;
}

/** What a user may do or not: what is not permitted is absent from the page. */
export type Permission =
  | "change"
  | "pull_model"
  | "delete_model"
  | "copy_model"
  | "load_model"
  | "unload_model"
  | "disk_usage"
  | "prune"
  | "cancel_job"
  | "set_active_models"
  | "trust_agents"
  | "examine"
  | "read_audit"
  | "show_setup"
  | "manage_tokens";

/** Undefined: unknown yet. Null: nobody is signed in. */
type Present = SessionDocument | null | undefined;

type Secret = { readonly token: string } | { readonly code: string };

/** The session itself is a cookie that no script can read. */
export class Session extends Observable {
  readonly api: Api;
  #present: Present;
  #notice = "";
  #failure: CourierError | undefined;

  constructor() {
    super();
    this.api = new Api({
      fetch: async (path, init) => await fetch(path, init),
      signedOut: () => this.#signedOut(),
    });
  }

  get present(): Present {
    return this.#present;
  }

  /** Why the user has to sign in again. */
  get notice(): string {
    return this.#notice;
  }

  /** Why it is unknown whether somebody is signed in. */
  get failure(): CourierError | undefined {
    return this.#failure;
  }

  /** Looks whether the browser has a session. */
  async look(): Promise<void> {
    this.#failure = undefined;
    try {
      this.#set(await this.api.get<SessionDocument>("v1/session"));
    } catch (error) {
      const failure = asCourierError(error);
      if (failure.code === "unauthenticated") return this.#set(null);
      this.#failure = failure;
      this.notify();
    }
  }

  /** Begins a session with the code of a sign-in link. @returns why not; a session that the browser has stays */
  async follow(code: string): Promise<CourierError | undefined> {
    try {
      await this.signIn({ code });
      return undefined;
    } catch (error) {
      const failure = asCourierError(error);
      this.#notice =
        failure.code === "unauthenticated"
          ? "This sign-in link is no longer valid. Sign in with a token"
          : "You are not signed in. Open the sign-in link again, or sign in with a token";
      await this.look();
      return failure;
    }
  }

  /** @throws CourierError when it is not valid */
  async signIn(secret: Secret): Promise<void> {
    this.#set(await this.api.post<SessionDocument>("v1/session", secret));
  }

  async signOut(): Promise<void> {
    await this.api.delete("v1/session");
    this.#set(null);
  }

  #signedOut(): void {
    // While nobody is signed in, a refusal is no news.
    if (!this.#present) return;
    this.#notice = "Your session has ended. Sign in again";
    this.#set(null);
  }

  #set(present: Present): void {
    this.#present = present;
    if (present !== null) this.#notice = "";
    this.notify();
  }
}
