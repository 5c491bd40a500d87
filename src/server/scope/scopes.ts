// The services as a caller sees them: a caller that is limited to some agents gets services to which these are all agents.
import { asCourierError, CourierError } from "../../base/errors.ts";
import { holdsModel } from "../../courier/agent_view.ts";
import { ScopedFleet } from "../../courier/index/scoped_fleet.ts";
import { withoutPlace } from "../../courier/index/share_away.ts";
import { desiredOf } from "../../documents/models/desired.ts";
import type { Caller } from "../access/caller.ts";
import { openQuestions } from "../limits/questions.ts";
import { scopedMirror } from "../models/mirror/scoped_mirror.ts";
import type { Services, WholeServices } from "../services.ts";
import { ScopedFeed } from "./scoped_feed.ts";

interface Scope {
  /** How many agents it may see. */
  readonly size: number;
  readonly services: Services;
  readonly fleet: ScopedFleet;
}

/** Callers that see the same agents share a scope, which costs as much memory as the lists of its agents. */
const MOST = { scopes: 100, agents: 50_000 };

export class Scopes {
  readonly #services: WholeServices;
  /** By the names of the agents. The one that was used last comes last. */
  readonly #scopes = new Map<string, Scope>();
  #made = 0;
  #agents = 0;

  constructor(services: WholeServices) {
    this.#services = services;
  }

  /** How many are kept. */
  get size(): number {
    return this.#scopes.size;
  }

  servicesFor({ agents }: Pick<Caller, "agents">): Services {
    if (agents === null) return this.#services;
    const key = [...agents].toSorted().join(" ");
    const scope = this.#scopes.get(key) ?? this.#make(agents);
    this.#scopes.delete(key);
    this.#scopes.set(key, scope);
    this.#dropOld();
    return scope.services;
  }

  #make(agents: ReadonlySet<string>): Scope {
    const fleet = new ScopedFleet(this.#services.fleet, agents);
    this.#made += 1;
    this.#agents += agents.size;
    return {
      size: agents.size,
      fleet,
      services: { ...this.#services, ...scoped(this.#services, fleet, agents, this.#made) },
    };
  }

  /** All but the last one. A request that still uses one finds the lists as they are now. */
  #dropOld(): void {
    for (const [key, { fleet, size }] of this.#scopes) {
      const isWithin = this.#scopes.size <= MOST.scopes && this.#agents <= MOST.agents;
      if (isWithin || this.#scopes.size === 1) return;
      fleet.close();
      this.#agents -= size;
      this.#scopes.delete(key);
    }
  }
}

/** Everything that names agents, or shares an answer about them. */
type Scoped = Omit<
  Services,
  | "keeper"
  | "readiness"
  | "authenticator"
  | "tickets"
  | "refusedLogins"
  | "listeners"
  | "catalog"
  | "publishedModels"
  | "cancelsOnDisconnect"
  | "clock"
  | "log"
>;

/** @param number of the scope: responses kept for an earlier one have other versions */
function scoped(whole: WholeServices, fleet: ScopedFleet, agents: ReadonlySet<string>, number: number): Scoped {
  const { clock, lists, refusedJobs, endedJobs, defaultAgent } = whole;
  const courier = whole.courier.over(fleet, withoutPlace);
  const isSeen = ({ agent }: { readonly agent: string }): boolean => agents.has(agent);
  return {
    fleet,
    courier,
    connection: {
      requireOpen: () => {
        try {
          whole.connection.requireOpen();
        } catch (error) {
          throw withoutPlace(asCourierError(error));
        }
      },
    },
    ...openQuestions({ courier, clock }),
    activeModels: activeModels(whole, fleet),
    refusedJobs: {
      add: (jobs) => refusedJobs.add(jobs.filter(isSeen)),
      version: (isMeant) => refusedJobs.version((agent) => agents.has(agent) && isMeant(agent)),
      list: (isMeant) => refusedJobs.list((agent) => agents.has(agent) && isMeant(agent)),
      find: (id) => [refusedJobs.find(id)].find((job) => job !== undefined && isSeen(job)),
    },
    endedJobs: {
      find: (id, isMeant = () => true) => endedJobs.find(id, (agent) => agents.has(agent) && isMeant(agent)),
    },
    audit: { askedFor: (job) => whole.audit.askedFor(job).filter((agent) => agents.has(agent)) },
    jobFeed: new ScopedFeed(whole.jobFeed, agents),
    lists: { get: (key, version, render) => lists.get(`${number} ${key}`, version, render) },
    desired: { document: () => desiredOf(whole.desired.document(), agents) },
    mirror: whole.mirror === null ? null : scopedMirror(whole.mirror, agents),
    defaultAgent: defaultAgent !== undefined && agents.has(defaultAgent) ? defaultAgent : undefined,
  };
}

/** The active models that one of the agents has; another one would show what the others have. */
function activeModels(whole: WholeServices, fleet: ScopedFleet): Services["activeModels"] {
  return {
    read: () => {
      const views = fleet.lastKnown();
      const active = Object.entries(whole.activeModels.read());
      return Object.fromEntries(active.filter(([, model]) => views.some((view) => holdsModel(view, model))));
    },
    set: () => {
      throw new CourierError("forbidden", "The active models are those of the whole fleet");
    },
  };
}
