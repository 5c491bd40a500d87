// Who sends the commands of a run with faults: a courier in this process, and clients of a gpu-server.
import { z } from "zod";
import { asCourierError, type ErrorCode } from "#src/base/errors.ts";
import type { Courier } from "#src/courier.ts";
import type { HttpServer } from "#tests/process/site/site.ts";
import type { Ask, Outcome } from "./tasks.ts";

/** In step with what docs/protocol.md has of each code. */
const OUTCOMES: Partial<Record<ErrorCode, Outcome>> = {
  unavailable: "not sent",
  exhausted: "not sent",
  deadline_exceeded: "unknown",
};

const Answer = z.object({
  code: z.string().optional(),
  jobs: z.array(z.object({ state: z.string(), code: z.string().nullish(), error: z.string().nullish() })).optional(),
});

function outcomeOf(code: string, text: string): Outcome {
  const known = new Map<string, Outcome>(Object.entries(OUTCOMES));
  const outcome = known.get(code);
  if (outcome === undefined) throw new Error(`No fault explains ${code}: ${text}`);
  return outcome;
}

export function askCourier(courier: Courier): Ask {
  return async ({ agent, verb, model }, timeoutMs) => {
    try {
      await courier.request(agent, { verb, modelName: model }, { timeoutMs });
      return "done";
    } catch (error) {
      const { code, message } = asCourierError(error);
      return outcomeOf(code, message);
    }
  };
}

/** Its own timeout, `--timeout`, must be the load's. */
export function askServer(server: HttpServer): Ask {
  return async ({ agent, verb, model }) => {
    const { status, answer } = await (verb === "delete_model"
      ? server.call("DELETE", `/v1/agents/${agent}/models/${encodeURIComponent(model)}`)
      : server.call("POST", "/v1/jobs", { kind: "pull", model, agents: [agent] }));
    const { code, jobs = [] } = Answer.parse(answer);
    if (status >= 400) return outcomeOf(code ?? String(status), JSON.stringify(answer));
    const [job] = jobs;
    if (job?.state !== "failed") return "done";
    return outcomeOf(job.code ?? "", job.error ?? "");
  };
}
