// Preloaded before the tests: the time after which one counts as hung. A busy machine stretches a second to ten.
// Bun 1.4.5 applies it to the first file of a process only, so the npm scripts pass `--timeout` too; `bun test` alone gives
// hooks and tests of all other files 5 s.
import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(60_000);
