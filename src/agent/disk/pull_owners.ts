// To which pulls the blobs on disk belong.
import { isEnded, type Job } from "../../protocol.ts";

export interface PullJobs {
  /** Every job that is kept, with the digests of the layers that it has seen, the newest last. */
  layers(): readonly { readonly job: Job; readonly digests: readonly string[] }[];
  /** The models that are pulled at this moment. */
  running(): readonly string[];
}

export interface Owner {
  readonly job: Job;
  readonly isActive: boolean;
}

export interface Owners {
  /** By digest, the job that has it: an active one, else the newest. */
  readonly ofDigest: ReadonlyMap<string, Owner>;
  /** An active job that has seen no layers yet: any blob may be one of them. */
  readonly unseen: Job | null;
}

export function ownersOf(jobs: PullJobs): Owners {
  const ofDigest = new Map<string, Owner>();
  let unseen: Job | null = null;
  for (const { job, digests } of jobs.layers()) {
    const isActive = !isEnded(job);
    if (isActive && digests.length === 0) unseen ??= job;
    for (const digest of digests) {
      const key = digest.toLowerCase();
      if (isActive || ofDigest.get(key)?.isActive !== true) ofDigest.set(key, { job, isActive });
    }
  }
  return { ofDigest, unseen };
}
