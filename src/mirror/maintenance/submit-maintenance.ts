/** Work on a mirror's packs that nobody waits for: in a lane of its own, behind everything else, once at a time under each name. */
import type { JobOutcome } from '../../jobs/job.ts';
import { submitJob, type MirrorContext } from '../services.ts';

/** Resolves with how it ended, and has said so where it failed. Never rejects. */
export async function submitMaintenance<T>(
  { repository, services }: MirrorContext,
  name: 'maintenance' | 'repack' | 'bitmap',
  run: (signal: AbortSignal) => Promise<T>,
): Promise<JobOutcome<T>> {
  const { jobs, logger } = services;
  const repo = repository.name;
  const outcome = await submitJob(jobs, {
    kind: 'maintenance',
    repo,
    lane: 'maintenance',
    key: `${name}:${repo}`,
    priority: 'background',
    abandonWhenUnwatched: false,
    run,
  }).done;
  if (outcome.kind === 'failed') logger.warn('job_failed', { kind: name, repo, error: outcome.error });
  return outcome;
}
