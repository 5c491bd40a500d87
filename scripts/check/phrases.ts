// The phrases that `npm run check` refuses, each with what to write instead.

interface Phrase {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** Words that a sentence is about when it begins with a question word and asks nothing: "Who runs it is told of it". */
const VERBS =
  "is|are|was|were|has|have|had|can|cannot|may|must|will|does|do|did|comes?|came|goes|went|fails?|failed|remains|stays|stands|follows|runs?|reads?|asks?|waits?|serves?|gives?|uses?|makes?|holds?|takes?|needs?|wants?|counts|belongs|happens|feeds|lasts?|changed|becomes";

export const PHRASES: readonly Phrase[] = [
  { pattern: /\btold\b/i, instead: "reported, logged, shown, notified" },
  { pattern: /\btell(?:s|ing)?\b(?!(?: \S+){0,4} apart)/i, instead: "report, log, show, list" },
  { pattern: /\b(?:is|are|was|were|be|been) said\b/i, instead: "is logged, is reported" },
  { pattern: /\bsa(?:ys?|id) (?:so|of|nothing|what|how|who|why|which|whether|it once)\b/i, instead: "reports, shows" },
  { pattern: /\bmend(?:s|ed|ing)?\b/i, instead: "fix, repair" },
  { pattern: /\b(?:anew|afresh)\b/i, instead: "again" },
  { pattern: /\bfor ever\b/i, instead: "permanently, forever" },
  { pattern: /\ball the same\b/i, instead: "anyway" },
  { pattern: /\bbesides\b/i, instead: "also, in addition to" },
  { pattern: /\bwhoever\b/i, instead: "a user who, anyone who" },
  { pattern: /\b(?:for|to|by|of) who\b/i, instead: "for users who, for callers that" },
  {
    pattern: /\b(?:lies|lie|lay|lying) (?:there|here|in|on|at|under|beside|below|beyond|open)\b/i,
    instead: "exists, is in",
  },
  { pattern: /\bstands? (?:in|above|beside|there|under|here|below)\b/i, instead: "is in, is above" },
  {
    pattern: /\b(?:is|are|has|have) none\b(?! of (?:it|them|these|those)\b)|\bnone such\b/i,
    instead: "no such, there is no",
  },
  { pattern: /\bthat there (?:is|are|was|were)\b/i, instead: "available, known" },
  { pattern: /\bwhat it can\b/i, instead: "its capabilities" },
  { pattern: /\bnot known\b/i, instead: "unknown" },
  { pattern: /\bfaces?\b/i, instead: "entry point" },
  { pattern: /\bold[ _-]?(?:backend|service|half|halves)s?\b/i, instead: "legacy backend, legacy service" },
  { pattern: /\bpatien(?:t|ce|tly)\b/i, instead: "attempt, retry, timeout" },
  { pattern: /\bcur(?:e|es|ed|ing)\b/i, instead: "attribute-cache workaround" },
  { pattern: /\bletters?\b/i, instead: "command, response; characters" },
  { pattern: /\b(?:goes|go|going|went) by\b/i, instead: "uses, follows" },
  { pattern: /\brests? on\b/i, instead: "depends on" },
  { pattern: /\bfor so long\b/i, instead: "for this long" },
  { pattern: /\bseldom\b/i, instead: "rarely" },
  { pattern: /\b(?:comes?|came|coming) round\b/i, instead: "completed a pass" },
  { pattern: /\bpulses?\b/i, instead: "heartbeat" },
  { pattern: /(?<!\$)\b(?:trying|tries|tried) on\b/i, instead: "retrying" },
  { pattern: /\bout of sight\b/i, instead: "not reporting" },
  { pattern: /\bin vain\b/i, instead: "without success" },
  {
    pattern: /\b(?:(?:is|are) not|all is) well\b|\bwell or badly\b/i,
    instead: "unhealthy, healthy, succeeded or failed",
  },
  { pattern: /\bof one name\b/i, instead: "with the same name" },
  { pattern: /\bt(?:akes?|ook|aken|aking) (?:it |them |this )?back\b/i, instead: "withdraw, roll back, undo" },
  {
    pattern: new RegExp(`(?:^|[.:;>|*/#-] +)W(?:ho|hat) (?:${VERBS})\\b(?![^.|]*\\?)`),
    instead: "a subject: Slow readers get ...",
  },
  { pattern: /\b(?:behaviou|colou|favou|honou|neighbou)r/i, instead: "behavior, color, favor, honor, neighbor" },
  {
    pattern: /\b(?:centre|metre|licence|grey|catalogue|programme|artefact|judgement|whilst|amongst)s?\b/i,
    instead: "American spelling",
  },
  {
    pattern: /\b\w*(?:organ|recogn|serial|normal|optim|summar|initial|synchron|minim|maxim)is(?:e|es|ed|ing|ation)\b/i,
    instead: "-ize",
  },
  {
    pattern: /\b(?:label|travel|model|signal|cancel)ling\b|\b(?:label|travel|model)led\b/i,
    instead: "one l: labeled, canceling",
  },
];

/** Names that stay: of flags that keep working, and of what the legacy programs put on the wire. */
export const EXEMPT: readonly RegExp[] = [/--pull-patience/g, /GPU_COURIER_PULL_PATIENCE/g, /pullPatience/g];
