// Every text of a document that another program wrote, as gpuctl prints it; tests/long/programs tries more of them.
import { testForeignTexts } from "./foreign_texts.ts";

testForeignTexts({ states: 10, refusals: 8, jobs: 15 });
