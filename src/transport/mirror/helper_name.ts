// The names under which an agent pulls from the mirror, until the model has its own.

/** The namespace of all of them. */
export const HELPER_NAMESPACE = "gpu-courier-mirror";
const HELPER = /^127\.0\.0\.1:\d+\/gpu-courier-mirror\/[0-9a-f]{32}:(?:latest|before)$/;

/** Whether a name is only a step of a pull from the mirror: nobody is shown such a model. @param name in Ollama's form */
export function isHelperName(name: string): boolean {
  return HELPER.test(name);
}
