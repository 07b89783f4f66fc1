import { expect, test } from 'vitest';
import { shieldedBody } from '../../../src/http/shielded-body.ts';

function requestOf(counts: { pulled: number; cancelled: number }): Request {
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        counts.pulled++;
        controller.enqueue(new Uint8Array(10));
      },
      cancel: () => void counts.cancelled++,
    },
    { highWaterMark: 0 },
  );
  return new Request('http://x/', { method: 'POST', body, duplex: 'half' } as RequestInit);
}

test('giving a body up reads no more of it and never cancels the one of the runtime', async () => {
  const counts = { pulled: 0, cancelled: 0 };
  const reader = shieldedBody(requestOf(counts))?.getReader();
  expect(counts.pulled).toBe(0);
  expect((await reader?.read())?.value?.length).toBe(10);
  await reader?.cancel();
  expect(counts).toEqual({ pulled: 1, cancelled: 0 });
});

test('a request that has no body has none here', () => {
  expect(shieldedBody(new Request('http://x/'))).toBeNull();
});
