/** What every row finds: the repository, bare, in one pack with a bitmap, and a server that serves it by git. */
import type { RunningServer } from './servers.ts';
import { startGitServer } from './servers.ts';
import { Workplace } from './workplace.ts';

export interface Stage {
  readonly place: Workplace;
  /** Bare, all refs of the original, one pack. */
  readonly repository: string;
  readonly upstream: RunningServer & { readonly base: string };
  /** A storage folder with a filled mirror, for the rows that need one. */
  filled: Promise<string> | undefined;
}

/** `source`: a repository or a bundle; it is only read. */
export async function createStage(source: string): Promise<Stage> {
  const place = new Workplace();
  const repository = place.path('repository');
  await place.run('git', ['clone', '-q', '--mirror', '--no-local', source, repository]);
  await place.run('git', ['-C', repository, 'repack', '-adbq']);
  return { place, repository, upstream: await startGitServer(place, repository), filled: undefined };
}
