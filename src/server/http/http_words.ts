// Hints of agents and of the courier, which name commands of gpuctl, for callers over HTTP.

type Replace = (agent: string) => string;

/** Where no other way is open to a caller over HTTP, the hint stays: an operator's commands. */
const WORDS: readonly (readonly [pattern: RegExp, replace: Replace])[] = [
  [
    /gpuctl list shows (?:the installed models|what is installed)/g,
    (agent) => `GET /v1/agents/${agent}/models lists the installed models`,
  ],
  [/gpuctl jobs lists the jobs/g, () => "GET /v1/jobs lists the jobs"],
  [/gpuctl jobs, gpuctl cancel/g, () => "GET /v1/jobs, POST /v1/jobs/{id}/cancel"],
  [/gpuctl trust (\S+) KEY/g, () => 'POST /v1/agents/$1/trust with {"key": KEY}'],
  [/gpuctl trust (\S+) --unsigned/g, () => 'POST /v1/agents/$1/trust with {"unsigned": true}'],
  [/with --force\b/g, () => 'with "force": true'],
];

/** @param agent the one whose words they are */
export function inHttpWords(hint: string, agent = "{agent}"): string {
  return WORDS.reduce((text, [pattern, replace]) => text.replaceAll(pattern, replace(agent)), hint);
}
