// Loaded before the tests: how long one may take. A busy machine stretches what takes a second by ten. Imports Bun's tests.
import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(20_000);
