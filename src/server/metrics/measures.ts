// What gpu-server measures of itself while it runs: requests, commands, and operations on the share.
import type { Clock } from "../../base/clock.ts";
import { Histogram } from "../../program/metrics/histogram.ts";
import type { Verb } from "../../protocol.ts";

const MILLISECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** A list that waits for the end of a job takes up to a minute. */
const UP_TO_A_MINUTE = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export class Measures {
  readonly requests = new Histogram("gpu_courier_http_request_duration_seconds", UP_TO_A_MINUTE);
  readonly operations = new Histogram("gpu_courier_transport_operation_seconds", MILLISECONDS);
  readonly #roundTrips = new Histogram("gpu_courier_command_round_trip_seconds", UP_TO_A_MINUTE);
  readonly #clock: Pick<Clock, "monotonic">;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  get all(): readonly Histogram[] {
    return [this.operations, this.#roundTrips, this.requests];
  }

  /** Measures one command. @returns to be called with how it ended */
  begin(_agent: string, verb: Verb): (result: "success" | "refused" | "unanswered") => void {
    const beganMs = this.#clock.monotonic();
    return (result) => this.#roundTrips.observe({ verb, result }, (this.#clock.monotonic() - beganMs) / 1000);
  }
}
