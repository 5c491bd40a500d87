// Every text of a document that another program wrote, as gpuctl prints it, with more texts than `npm test` tries.
import { testForeignTexts } from "#tests/client/foreign_texts.ts";

testForeignTexts({ states: 40, refusals: 30, jobs: 60 });
