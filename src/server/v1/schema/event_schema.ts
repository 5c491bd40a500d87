// The events of /v1/events as /openapi.json describes them: server-sent events whose data are documents.
import { z } from "@hono/zod-openapi";
import { AgentDocument } from "../../../documents/agents.ts";
import { JobDocument } from "../../../documents/jobs.ts";

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

const AgentEvent = z
  .object({ event: z.literal("agent"), data: AgentDocument })
  .meta({ id: "AgentEvent", description: "An agent whose `status` or `reason` has changed." });

const ProgressEvent = z
  .object({ event: z.literal("progress"), data: JobDocument })
  .meta({ id: "ProgressEvent", description: "An active job." });

const EndedEvent = z
  .object({ event: z.literal("ended"), id, data: JobDocument })
  .meta({ id: "EndedEvent", description: "A job that has ended. A listener gets each end exactly once." });

/** The fields are those of a server-sent event; `data` is sent as JSON. */
export const EventSchema = z
  .discriminatedUnion("event", [ReadyEvent, AgentEvent, ProgressEvent, EndedEvent])
  .meta({ id: "Event", description: "One server-sent event, by its fields; `data` is sent as JSON on one line." });
