/** Watches an isolate's memory through its inspector (Chrome DevTools Protocol, `Runtime.getHeapUsage`): V8's heap and what lies outside. */

export interface HeapWatch {
  /** The most that was in use behind a collection of garbage, in bytes. */
  readonly peakBytes: () => number;
  readonly samples: () => number;
  readonly stop: () => Promise<void>;
}

interface HeapUsage {
  readonly usedSize: number;
  readonly embedderHeapUsedSize?: number;
  readonly backingStorageSize?: number;
}

export async function watchHeap(url: string, everyMs: number): Promise<HeapWatch> {
  const socket = new WebSocket(url);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error(`no inspector at ${url}`)));
  });
  let last = 0;
  const waiting = new Map<number, (result: unknown) => void>();
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as { readonly id?: number; readonly result?: unknown };
    if (message.id !== undefined) waiting.get(message.id)?.(message.result);
  });
  const ask = (method: string): Promise<unknown> =>
    new Promise((resolve) => {
      waiting.set(++last, resolve);
      socket.send(JSON.stringify({ id: last, method }));
    });
  let peak = 0;
  let samples = 0;
  let isOver = false;
  await ask('HeapProfiler.enable');
  const watching = (async () => {
    while (!isOver) {
      await ask('HeapProfiler.collectGarbage');
      const usage = (await ask('Runtime.getHeapUsage')) as HeapUsage;
      peak = Math.max(peak, usage.usedSize + (usage.backingStorageSize ?? 0));
      samples++;
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  })();
  return {
    peakBytes: () => peak,
    samples: () => samples,
    async stop() {
      isOver = true;
      await Promise.race([watching, new Promise((resolve) => setTimeout(resolve, 1_000))]);
      socket.close();
    },
  };
}
