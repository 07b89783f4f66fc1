import { expect, test } from 'vitest';
import { parseMirrorTask, writeMirrorTask, type MirrorTask } from '../../../src/mirror/edge/mirror-task.ts';
import { Credential } from '../../../src/upstream/credential.ts';
import { repositoryOfName } from '../../../src/upstream/repository.ts';

const token = new Credential([['authorization', 'Bearer very-secret']]);
const UPSTREAMS = new Map([['up', { name: 'up', baseUrl: 'http://up', ignoresCase: false, token }]]);
const repository = repositoryOfName('up/team/a', UPSTREAMS);
const task: MirrorTask = { repository, wants: ['a'.repeat(40)], askedAtMs: 7, askedBy: 'somebody' };

/** As a queue carries it. */
const sent = (message: unknown): unknown => JSON.parse(JSON.stringify(message));

test('a task comes out of its message as it went in, and no credential with it', () => {
  for (const askedBy of ['somebody', 'pass'] as const) {
    const message = writeMirrorTask({ ...task, askedBy });
    expect(structuredClone(message)).toEqual(sent(message));
    expect(JSON.stringify(message)).not.toContain('secret');
    expect(parseMirrorTask(sent(message), UPSTREAMS)).toEqual({ ...task, askedBy });
  }
});

test('a message that does not say who asked is of somebody', () => {
  const { askedBy: _, ...old } = writeMirrorTask({ ...task, askedBy: 'pass' });
  expect(parseMirrorTask(old, UPSTREAMS)).toEqual(task);
  expect(parseMirrorTask({ ...old, askedBy: 'nobody' }, UPSTREAMS)).toEqual(task);
});

test('with as many wants as there may be it is far below the 128 KB of a message', () => {
  const wants = Array.from({ length: 5_000 }, () => 'b'.repeat(40));
  const message = writeMirrorTask({ ...task, wants });
  expect(JSON.stringify(message).length).toBeLessThan(100_000);
  expect(parseMirrorTask(sent(message), UPSTREAMS)?.wants).toHaveLength(2_000);
});

test.each([
  ['nothing', undefined],
  ['a word', 'task'],
  ['another format', { ...writeMirrorTask(task), format: 2 }],
  ['no name', { ...writeMirrorTask(task), repo: 7 }],
  ['an upstream that is not configured', { ...writeMirrorTask(task), repo: 'down/team/a' }],
  ['no time', { ...writeMirrorTask(task), askedAtMs: '7' }],
  ['wants that are no hashes', { ...writeMirrorTask(task), wants: ['main'] }],
])('%s is no task', (_, message) => {
  expect(parseMirrorTask(message, UPSTREAMS)).toBeUndefined();
});
