// Questions to agents whose answers callers share.
import { FreshLists, type FreshListsDeps } from "./fresh_lists.ts";
import { JobQuestions, type JobQuestionsDeps } from "./job_questions.ts";
import { ModelQuestions, type ModelQuestionsDeps } from "./model_questions.ts";

/** Among the agents of one courier, which are all that their callers may see. */
export function openQuestions(deps: FreshListsDeps & JobQuestionsDeps & ModelQuestionsDeps) {
  return {
    modelQuestions: new ModelQuestions(deps),
    jobQuestions: new JobQuestions(deps),
    freshLists: new FreshLists(deps),
  };
}
