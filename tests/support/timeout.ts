// Preloaded before the tests: the time after which one counts as hung. A busy machine stretches a second to ten.
import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(60_000);
