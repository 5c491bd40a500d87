// Every metric that gpu-server and gpu-agent have: its name, type and help, in the order in which it is written.

/** `per model`: one series for each model of each box, which a scrape of a large fleet leaves out. */
interface Family {
  readonly type: "gauge" | "counter" | "histogram";
  readonly help: string;
  readonly per?: "model";
}

export const FAMILIES = {
  gpu_courier_build_info: { type: "gauge", help: "The release of the program that was asked; the value is 1." },
  gpu_courier_transport_up: { type: "gauge", help: "Whether the share can be read." },
  gpu_courier_agent_up: { type: "gauge", help: "Whether the agent of a box is online." },
  gpu_courier_agent_status: {
    type: "gauge",
    help: "1 for the status that the agent has now, 0 for the others: online without a problem, or the problem.",
  },
  gpu_courier_agent_last_seen_timestamp_seconds: {
    type: "gauge",
    help: "When the agent last published its state, by the clock of the share.",
  },
  gpu_courier_agent_info: { type: "gauge", help: "The releases of the agent and of its Ollama; the value is 1." },
  gpu_courier_agent_labels: { type: "gauge", help: "The labels of the box, each as label_NAME; the value is 1." },
  gpu_courier_agent_name_conflict: { type: "gauge", help: "Whether two boxes use the agent's name." },
  gpu_courier_ollama_up: { type: "gauge", help: "Whether the agent reaches its Ollama." },
  gpu_courier_models: { type: "gauge", help: "Installed models." },
  gpu_courier_disk_free_bytes: { type: "gauge", help: "Free bytes of the disk with the models." },
  gpu_courier_disk_total_bytes: { type: "gauge", help: "Size of the disk with the models." },
  gpu_courier_gpu_memory_used_bytes: { type: "gauge", help: "Memory of the GPU in use." },
  gpu_courier_gpu_memory_total_bytes: { type: "gauge", help: "Memory of the GPU." },
  gpu_courier_clock_offset_seconds: { type: "gauge", help: "The clock of the share minus that of the box." },
  gpu_courier_jobs: {
    type: "gauge",
    help: "Active pulls by state; waiting is one that waits before its next attempt.",
  },
  gpu_courier_agent_fetches: {
    type: "gauge",
    help: "Active fetches of an agent into the mirror by state; waiting is one that waits before its next attempt.",
  },
  gpu_courier_jobs_ended_total: {
    type: "counter",
    help: "Pulls that ended since this server started, by result and error code.",
  },
  gpu_courier_commands_processed_total: {
    type: "counter",
    help: "Commands that the agent ran since it started, successful or not.",
  },
  gpu_courier_commands_refused_total: {
    type: "counter",
    help: "Commands that the agent refused since it started, without running them.",
  },
  gpu_courier_forged_documents_total: {
    type: "counter",
    help: "States and responses under the agent's name that did not count: another key, a wrong or missing signature, or old.",
  },
  gpu_courier_model_info: { type: "gauge", help: "The installed models; the value is 1.", per: "model" },
  gpu_courier_model_size_bytes: { type: "gauge", help: "Size of an installed model on disk.", per: "model" },
  gpu_courier_running_vram_bytes: { type: "gauge", help: "GPU memory of a loaded model.", per: "model" },
  gpu_courier_job_completed_bytes: {
    type: "gauge",
    help: "Bytes that an active pull of a model has so far.",
    per: "model",
  },
  gpu_courier_job_total_bytes: { type: "gauge", help: "Bytes that an active pull of a model needs.", per: "model" },
  gpu_courier_transport_operation_seconds: {
    type: "histogram",
    help: "How long operations on the share took; watch is one look at all states.",
  },
  gpu_courier_command_round_trip_seconds: {
    type: "histogram",
    help: "From sending a command to its response, or to the end of the wait for one.",
  },
  gpu_courier_http_request_duration_seconds: {
    type: "histogram",
    help: "From a request to the beginning of its response.",
  },
  gpu_courier_refused_logins_total: {
    type: "counter",
    help: "Requests without a valid token, since this process started.",
  },
  gpu_courier_webhook_pending: { type: "gauge", help: "Events that wait for the receiver of a webhook." },
  gpu_courier_webhook_events_total: {
    type: "counter",
    help: "Events for the receiver of a webhook, by result, since it was first named.",
  },
  gpu_courier_desired_drift: {
    type: "gauge",
    help: "Models of boxes that differ from the file of --desired, by what would change them.",
  },
  gpu_courier_desired_unknown_boxes: {
    type: "gauge",
    help: "Boxes that the file of --desired names and whose models are unknown: they are away.",
  },
  gpu_courier_desired_compared_timestamp_seconds: {
    type: "gauge",
    help: "When the fleet was last compared with the file of --desired, since 1970.",
  },
  gpu_courier_desired_file_problem: {
    type: "gauge",
    help: "Whether the file of --desired, as it is now, cannot be used. An earlier one stays in force.",
  },
  gpu_courier_mirror_models: { type: "gauge", help: "Models in the mirror, as read at most a few minutes ago." },
  gpu_courier_mirror_bytes: { type: "gauge", help: "Bytes of all blobs in the mirror." },
  gpu_courier_mirror_fetches: { type: "gauge", help: "Fetches of gpu-server into the mirror that wait or run." },
  gpu_courier_mirror_fetches_ended_total: {
    type: "counter",
    help: "Fetches of gpu-server into the mirror that have ended, by result, since this process started.",
  },
  process_cpu_seconds_total: { type: "counter", help: "CPU time of this process, user and system." },
  process_resident_memory_bytes: { type: "gauge", help: "Resident memory of this process." },
  process_start_time_seconds: { type: "gauge", help: "When this process started, since 1970." },
  process_open_fds: { type: "gauge", help: "Open file descriptors of this process." },
  process_max_fds: { type: "gauge", help: "The most file descriptors that this process may open." },
} as const satisfies Readonly<Record<string, Family>>;

export type MetricName = keyof typeof FAMILIES;

export const METRIC_NAMES = Object.keys(FAMILIES).filter(isMetricName);

export function isMetricName(name: string): name is MetricName {
  return Object.hasOwn(FAMILIES, name);
}

export function isPerModel(name: MetricName): boolean {
  const family: Family = FAMILIES[name];
  return family.per === "model";
}
