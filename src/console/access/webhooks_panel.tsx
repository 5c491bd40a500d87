// The log of webhooks: each target with its counters, and the newest deliveries.
import type { JSX } from "preact";
import { Action } from "../parts/button.tsx";
import { countText } from "../parts/local_text.ts";
import { Failure, Panel } from "../parts/panel.tsx";
import { Status, type Tone } from "../parts/status.tsx";
import { Ago, Foreign, plural } from "../parts/text.tsx";
import { useDocument, useLooks } from "../shell/use_document.ts";
import { useFleet, useServerNow } from "../shell/use_fleet.ts";

interface Target {
  readonly target: string;
  readonly address: string;
  readonly pending: number;
  readonly delivered: number;
  readonly failed: number;
  readonly dropped: number;
  /** In a row. */
  readonly failures: number;
  readonly paused_until: string | null;
  readonly gone_at: string | null;
}

interface Delivery {
  readonly number: number;
  readonly type: string;
  readonly subject: string;
  readonly address: string;
  readonly state: "pending" | "sending" | "delivered" | "failed" | "dropped";
  readonly attempts: number;
  readonly created_at: string;
  readonly last_attempt_at: string | null;
  readonly last_status: number | null;
  readonly error: string | null;
}

const PATH = "v1/webhooks/deliveries?limit=20";
const TONES: Readonly<Record<Delivery["state"], Tone>> = {
  pending: "warn",
  sending: "busy",
  delivered: "good",
  failed: "bad",
  dropped: "bad",
};

/** Absent where gpu-server was started without a webhook. */
export function WebhooksPanel(): JSX.Element | null {
  const readings = useFleet((fleet) => fleet.readings);
  const { document, failure, again } = useDocument<{
    readonly targets: readonly Target[];
    readonly deliveries: readonly Delivery[];
  }>(PATH, `${readings} ${useLooks()}`);
  if (failure === undefined && (document?.targets.length ?? 0) === 0) return null;
  return (
    <Panel title="Webhooks" aside={<Action run={again}>Refresh</Action>}>
      {failure !== undefined && <Failure failure={failure} />}
      <ul class="list" aria-label="Targets of webhooks">
        {document?.targets.map((target) => (
          <TargetItem key={target.target} target={target} />
        ))}
      </ul>
      {document?.deliveries.length === 0 && <p class="quiet none">Nothing was sent yet.</p>}
      <ol class="list audit" aria-label="Deliveries">
        {document?.deliveries.map((delivery) => (
          <DeliveryItem key={delivery.number} delivery={delivery} />
        ))}
      </ol>
    </Panel>
  );
}

function TargetItem({ target }: { readonly target: Target }): JSX.Element {
  const { address, pending, delivered, failed, dropped } = target;
  const counts = [
    `${countText(delivered)} delivered`,
    `${countText(pending)} pending`,
    ...(failed > 0 ? [`${countText(failed)} failed`] : []),
    ...(dropped > 0 ? [`${countText(dropped)} dropped`] : []),
  ];
  const { tone, words } = stateOf(target);
  return (
    <li>
      <div class="grow">
        <Foreign class="strong" text={address} />
        <span class="quiet detail">{counts.join(", ")}</span>
      </div>
      <Status tone={tone}>{words}</Status>
    </li>
  );
}

function stateOf({ failures, gone_at: gone, paused_until: paused }: Target): { tone: Tone; words: string } {
  if (gone !== null) return { tone: "bad", words: "Wants no more events (410)" };
  if (paused !== null) return { tone: "warn", words: `Paused after ${plural(failures, "failure")}` };
  return failures > 0
    ? { tone: "warn", words: `${plural(failures, "failure")} in a row` }
    : { tone: "good", words: "OK" };
}

function DeliveryItem({ delivery }: { readonly delivery: Delivery }): JSX.Element {
  const { type, subject, address, state, attempts, created_at: created, error, last_status: status } = delivery;
  const nowMs = useServerNow(30_000);
  const parts = [`to ${address}`, plural(attempts, "attempt"), ...(status === null ? [] : [`last status ${status}`])];
  return (
    <li>
      <div class="grow">
        <Foreign class="wrapped" text={`${type} ${subject}`} />
        <span class="quiet detail">
          <Foreign class="wrapped" text={parts.join(", ")} />
          {error !== null && <Foreign class="wrapped" text={error} />}
        </span>
      </div>
      <Status tone={TONES[state]}>{state}</Status>
      <span class="quiet when">
        <Ago at={delivery.last_attempt_at ?? created} nowMs={nowMs} />
      </span>
    </li>
  );
}
