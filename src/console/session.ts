// The session of this browser: who is signed in, and what this user may do. The only module that knows how that is arranged.
import { CourierError } from "../base/errors.ts";
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
  | "unload_model"
  | "cancel_job"
  | "set_active_models"
  | "trust_agents"
  | "examine"
  | "read_audit"
  | "manage_tokens";

/** Undefined: unknown yet. Null: nobody is signed in. */
type Present = SessionDocument | null | undefined;

export class Session extends Observable {
  readonly api: Api;
  #present: Present;
  /** For trials, until the server has sessions. */
  #bearer: string | undefined;
  /** Why the user has to sign in again. */
  #notice = "";

  constructor() {
    super();
    this.api = new Api({
      fetch: async (path, init) => await fetch(path, this.#withBearer(init)),
      signedOut: () => this.#end("Your session has ended. Sign in again"),
    });
  }

  get present(): Present {
    return this.#present;
  }

  get notice(): string {
    return this.#notice;
  }

  /** Looks whether the browser has a session. */
  async look(): Promise<void> {
    const { status } = await fetch("v1/session", { cache: "no-store" });
    if (status !== 200) return this.#set(null);
    this.#set(await this.api.get<SessionDocument>("v1/session"));
  }

  /** @throws CourierError when it is not valid */
  async signIn(secret: { readonly token: string } | { readonly code: string }): Promise<void> {
    const body = JSON.stringify(secret);
    const headers = { "content-type": "application/json" };
    const { status } = await fetch("v1/session", { method: "POST", body, headers });
    if ("token" in secret && status === 401) return await this.#try(secret.token);
    return await this.look();
  }

  async #try(token: string): Promise<void> {
    this.#bearer = token;
    try {
      await this.api.get("v1/agents?limit=1");
      const change = (await this.#status("POST", "v1/tickets")) === 201;
      const may = { change, pull_model: change, delete_model: change, copy_model: change, unload_model: change };
      const others = { cancel_job: change, set_active_models: change, trust_agents: change, examine: true };
      const all = { ...may, ...others, read_audit: change, manage_tokens: false };
      const scope = { agents: null, verbs: null };
      this.#set({ name: "trial", role: change ? "gp" : "viewer", scope, expires_at: null, may: all });
    } catch (error) {
      this.#bearer = undefined;
      throw error instanceof CourierError && error.code === "unauthenticated"
        ? new CourierError("unauthenticated", "This token is not valid", { hint: "Check that all of it was pasted" })
        : error;
    }
  }

  async signOut(): Promise<void> {
    this.#bearer = undefined;
    this.#end("");
  }

  #end(notice: string): void {
    if (this.#present === null) return;
    this.#notice = notice;
    this.#set(null);
  }

  #set(present: Present): void {
    this.#present = present;
    if (present !== null) this.#notice = "";
    this.notify();
  }

  async #status(method: string, path: string): Promise<number> {
    return (await fetch(path, this.#withBearer({ method }))).status;
  }

  #withBearer(init: RequestInit): RequestInit {
    if (this.#bearer === undefined) return init;
    return { ...init, headers: { ...init.headers, authorization: `Bearer ${this.#bearer}` } };
  }
}
