// The events of /v1/events as /openapi.json describes them: server-sent events whose data are documents.
import { z } from "@hono/zod-openapi";
import { AgentDocument } from "../../../documents/agents.ts";
import { JobDocument } from "../../../documents/jobs.ts";
import { AgentName } from "../../../protocol.ts";

const id = z.string().meta({ description: "For `Last-Event-ID`" });

const ReadyEvent = z
  .object({
    event: z.literal("ready"),
    id,
    retry: z.int().meta({ description: "Wait as many ms before you connect again" }),
    data: z.object({
      resumed: z.boolean().meta({ description: "Whether it continues after the `Last-Event-ID` that was sent" }),
    }),
  })
  .meta({ id: "ReadyEvent", description: "Comes first." });

const AgentEvent = z.object({ event: z.literal("agent"), data: AgentDocument }).meta({
  id: "AgentEvent",
  description: "An agent whose `status` or `reason` has changed; with `figures` also each other change.",
});

const ProgressEvent = z
  .object({ event: z.literal("progress"), data: JobDocument })
  .meta({ id: "ProgressEvent", description: "An active job." });

const EndedEvent = z
  .object({ event: z.literal("ended"), id, data: JobDocument })
  .meta({ id: "EndedEvent", description: "A job that has ended. A listener gets each end exactly once." });

const named = z.object({ agent: AgentName });
const ModelsEvent = z
  .object({ event: z.literal("models"), data: named })
  .meta({ id: "ModelsEvent", description: "An agent whose installed or loaded models changed. With `figures`." });

const RemovedEvent = z.object({ event: z.literal("removed"), data: named }).meta({
  id: "RemovedEvent",
  description: "An agent that is gone: somebody made the fleet forget it. With `figures`.",
});

/** The fields are those of a server-sent event; `data` is sent as JSON. */
export const EventSchema = z
  .discriminatedUnion("event", [ReadyEvent, AgentEvent, ProgressEvent, EndedEvent, ModelsEvent, RemovedEvent])
  .meta({ id: "Event", description: "One server-sent event, by its fields; `data` is sent as JSON on one line." });
