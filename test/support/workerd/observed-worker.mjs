/** The Worker with each event's calls to its bindings printed behind it. One event at a time, or their calls add up. */
import worker from './cloudflare.mjs';
import { takeCalls } from './observed-bindings.mjs';

function print(kind) {
  console.log(JSON.stringify({ event: 'test_calls', kind, calls: takeCalls() }));
}

export default {
  fetch: (...args) => worker.fetch(...args),
  async scheduled(...args) {
    takeCalls();
    await worker.scheduled(...args);
    print('scheduled');
  },
  async queue(...args) {
    takeCalls();
    await worker.queue(...args);
    print('queue');
  },
};
