// Schemas of the lists under /v1: their queries, and responses that the caller may have already.
import { z } from "@hono/zod-openapi";
import { JobState } from "../../../documents/named.ts";
import { AgentName } from "../../../protocol.ts";
import { CURSOR_CHARACTERS } from "../../fleet/lists/pages.ts";
import { nearest } from "../../http/nearest.ts";
import { MAX_WAIT_S } from "../../limits/listeners.ts";
import { json, queryOf } from "./schemas.ts";

const agent = AgentName.optional().meta({ description: "Only of this agent" });
const fresh = z
  .enum(["true", "false"])
  .optional()
  .meta({ description: "Ask the agents, instead of reading the states that they published" });
const paging = {
  limit: z.coerce.number<string>().int().min(1).max(10_000).default(1_000).meta({ description: "Entries of a page" }),
  after: z.string().max(CURSOR_CHARACTERS).optional().meta({ description: "`next` of the page before" }),
};
const PATTERN_CHARACTERS = 200;
const MODEL_CHARACTERS = 1_000;
const name = z
  .string()
  .max(PATTERN_CHARACTERS)
  .optional()
  .meta({ description: "Only names that match: `*` is any text, `?` any character" });

function sort<const Names extends readonly [string, ...string[]]>(names: Names, more = "") {
  return z
    .enum(names)
    .default(names[0])
    .meta({ description: `The order; \`-\` counts downwards${more}` });
}

const JobFilter = z.enum([...JobState.options, "retrying"]).meta({
  id: "JobFilter",
  description: "A state, or `retrying`: its last attempt failed, and the next one waits or has received nothing yet.",
});

/** The state of a job, or a list: repeated, as generated clients send it, or with commas. */
const jobStates = z
  .preprocess(
    (given, context) => {
      const words = [given].flat().flatMap((text) => String(text).split(","));
      const unknown = words.find((word) => !JobFilter.safeParse(word).success);
      if (unknown !== undefined) context.addIssue({ code: "custom", message: unknownState(unknown) });
      return words;
    },
    z.union([JobState, z.array(JobFilter)]),
  )
  .optional()
  .meta({ description: "Only jobs in one of these states; repeat it, or separate with commas", example: ["failed"] });

function unknownState(word: string): string {
  const meant = nearest(word, JobFilter.options);
  const known = `state must be one or more of ${JobFilter.options.join(", ")}`;
  return meant === undefined ? known : `unknown state ${JSON.stringify(word)}: did you mean "${meant}"? ${known}`;
}

export const QUERY = {
  /** Of a route that takes none. */
  none: queryOf({}),
  agents: queryOf({
    ...paging,
    name,
    status: z.enum(["online", "offline"]).optional(),
    label: z
      .string()
      .max(PATTERN_CHARACTERS)
      .optional()
      .meta({ description: "Only agents with this label: `KEY=VALUE`, or `KEY` for any value" }),
    sort: sort(["name", "-name"]),
  }),
  models: queryOf({
    agent,
    ...paging,
    fresh,
    name,
    sort: sort(["-modified_at", "modified_at", "name", "-name", "size", "-size"]),
  }),
  ofAgent: queryOf({
    fresh,
    last_known: z
      .enum(["true", "false"])
      .optional()
      .meta({ description: "If the agent cannot answer: what it last published, and why in `unavailable`" }),
  }),
  updates: queryOf({ agent, name }),
  fit: queryOf({
    agent,
    model: z.string().min(1).max(MODEL_CHARACTERS).meta({ description: "As in a pull", example: "phi4" }),
  }),
  refused: queryOf({ agent }),
  job: queryOf({
    wait: z.coerce.number<string>().int().min(1).max(MAX_WAIT_S).optional().meta({
      description: "Wait up to so many seconds for the end of the job; the response has the job as it is then",
    }),
  }),
  jobs: queryOf({
    agent,
    ...paging,
    state: jobStates,
    model: z.string().max(PATTERN_CHARACTERS).optional().meta({
      description:
        "Only pulls of this model: a name as in a pull, or one with `*` for any text and `?` for any character",
    }),
    // Clients rely on this default: pages of the newest first would be another list.
    sort: sort(
      ["agent", "created_at", "-created_at"],
      ": `agent` is by agent, the oldest job of each first, and `-created_at` the newest of all agents first",
    ),
  }),
} as const;

/** What a request may have that is answered with 304. Any text is valid: to check it would only take time. */
export const conditional = [
  {
    in: "header" as const,
    name: "If-None-Match",
    required: false,
    schema: { type: "string" as const },
    description: "`ETag` of the response that the caller has",
  },
];

/** The responses of a route that may be answered with 304: the document, one page of a list, or nothing. */
export function kept<Schema extends z.ZodType>(description: string, schema: Schema, example: z.input<Schema>) {
  const ETag = { schema: { type: "string" as const }, description: "For `If-None-Match`" };
  const Link = {
    schema: { type: "string" as const },
    description: 'Of a list: `<address>; rel="next"`, if there is a next page',
  };
  return {
    200: { ...json(description, schema, example), headers: { ETag, Link } },
    304: { description: "The caller has it already" },
  };
}
