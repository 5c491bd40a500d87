// The audit as `/v1/audit` serves it and `gpu-server audit --json` prints it.
import { z } from "zod";
import { Instant } from "./named.ts";
import { nextPage } from "./unavailable.ts";

const text = z.string().nullable();

export const AuditEntry = z
  .object({
    number: z.int().meta({ description: "Only goes up" }),
    at: Instant.meta({ description: "When the command was sent, or the request without one was answered" }),
    request: text.meta({
      description:
        "Method and path, or the command line of a local change or of gpu-server itself; null: gpu-server sent the command by itself",
    }),
    request_id: text.meta({ description: "The same in all entries of one request: its `X-Request-Id`" }),
    who: text.meta({ description: "The token's name, or the user's" }),
    way: text.meta({
      description:
        "How it showed who it is: `token`, `introspection`, `jwt`, `trusted` on the listener without tokens, `local`: a user of the server's machine, or `server`: gpu-server itself, as its `--desired`",
    }),
    peer: text.meta({ description: "The address that it came from: behind a proxy, that of the proxy" }),
    verb: text.meta({ description: "Of the command; null: the request sent none" }),
    agent: text,
    model: text,
    details: text.meta({
      description: "The arguments of the command, or what the route read of the body of a request without one, as JSON",
    }),
    outcome: text.meta({
      description: "`ok` or the code of the error; null: still running, or gpu-server ended before it knew",
    }),
    job: text.meta({ description: "The id of the job that the command started or joined" }),
    key: text.meta({
      description: "The id of the key that gpu-server signs with; a legacy service gets unsigned commands",
    }),
  })
  .meta({ id: "AuditEntry", description: "One changing command, or one changing request that sent none" });
export type AuditEntry = z.infer<typeof AuditEntry>;

const Dropped = z.object({
  refused: z.boolean().meta({ description: "Refused requests; otherwise what was done or tried" }),
  entries: z.int(),
  until: Instant.meta({ description: "The time of the newest of them" }),
});
export type Dropped = z.infer<typeof Dropped>;

export const AuditDocument = z
  .object({
    entries: z.array(AuditEntry).meta({ description: "The newest first" }),
    dropped: z.array(Dropped).meta({ description: "What is no longer kept" }).optional(),
    next: nextPage,
  })
  .meta({ id: "Audit" });
export type AuditDocument = z.infer<typeof AuditDocument>;
