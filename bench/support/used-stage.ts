/**
 * A mirror that has been used: filled once, then brought forward by 200 fetches as upstream moves on, while 5 % of upstream's
 * branches are deleted or force-pushed and 50 pull requests' heads are merged. Each fetch is a client's: first the refs, then
 * what they show. git's side is the same history, repacked.
 */
import { execFileSync } from 'node:child_process';
import { startGitServer, startHotpackServer, type RunningServer } from './servers.ts';
import { ASK_FOR_REFS, writeFetch } from './shapes.ts';
import { filledStage, type FilledStage, type Stage } from './stage.ts';

const FETCHES = 200;
const BRANCHES = 40;
/** One branch is deleted and one force-pushed: 5 %. */
const DELETED_AT = 60;
const FORCED_AT = 140;
const PULLS = 50;
const FRESH = { HOTPACK_REF_CHECK_INTERVAL: '0' };

const usedStages = new WeakMap<Stage, Promise<FilledStage>>();

/** Once for all rows. */
export function usedStage(stage: Stage): Promise<FilledStage> {
  const present = usedStages.get(stage);
  if (present !== undefined) return present;
  const making = useStage(stage);
  usedStages.set(stage, making);
  return making;
}

async function useStage({ place, repository: original }: Stage): Promise<FilledStage> {
  const repository = place.path('repository');
  await place.run('git', ['clone', '-q', '--mirror', original, repository]);
  const git = (...args: readonly string[]): string =>
    execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8', env: { ...process.env, ...AUTHOR } }).trim();
  const main = git('symbolic-ref', 'HEAD');
  const before = git('rev-list', '--first-parent', `--max-count=${FETCHES + 1}`, 'HEAD')
    .split('\n')
    .toReversed();
  for (let n = 0; n < BRANCHES; n++) git('update-ref', `refs/heads/bench-${n}`, before[n % before.length] as string);
  const upstream = await startGitServer(place, repository);
  const filled = await filledStage({ place, repository, upstream });
  const server = await startHotpackServer(place, { base: upstream.base, storage: filled.filled, env: FRESH });
  let tip = git('rev-parse', main);
  for (let n = 0; n < FETCHES; n++) {
    const tree = `${before[n % before.length]}^{tree}`;
    const isMerge = n % (FETCHES / PULLS) === 0;
    const pull = isMerge ? git('commit-tree', tree, '-p', `${tip}~3`, '-m', `pull ${n}`) : undefined;
    if (pull !== undefined) git('update-ref', `refs/pull/${n}/head`, pull);
    const parents = [tip, pull].flatMap((oid) => (oid === undefined ? [] : ['-p', oid]));
    const next = git('commit-tree', tree, ...parents, '-m', `change ${n}`);
    git('update-ref', main, next);
    if (n === DELETED_AT) git('update-ref', '-d', 'refs/heads/bench-0');
    if (n === FORCED_AT) git('update-ref', 'refs/heads/bench-1', git('commit-tree', tree, '-m', 'forced'));
    // oxlint-disable-next-line no-await-in-loop -- one fetch after the other
    const shown = await ask(server, ASK_FOR_REFS);
    if (!shown.includes(next)) throw new Error(`fetch ${n}: the new commit is not shown`);
    // oxlint-disable-next-line no-await-in-loop
    const pack = await ask(server, writeFetch(['thin-pack', `want ${next}`, `have ${tip}`]));
    if (!pack.includes('PACK') || !pack.endsWith('0000')) throw new Error(`fetch ${n} got no whole pack`);
    tip = next;
  }
  await place.stop(server.child);
  await place.run('git', ['-C', repository, 'repack', '-adbq']);
  return filled;
}

/** A v2 command, as a client in this process: how long it takes is nobody's measure. */
async function ask({ url }: RunningServer, body: string): Promise<string> {
  const response = await fetch(`${url}/git-upload-pack`, {
    method: 'POST',
    headers: { 'git-protocol': 'version=2', 'content-type': 'application/x-git-upload-pack-request' },
    body,
  });
  const answer = Buffer.from(await response.arrayBuffer()).toString('latin1');
  if (!response.ok) throw new Error(`${response.status} from ${url}: ${answer}`);
  return answer;
}

const AUTHOR = {
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.com',
};
