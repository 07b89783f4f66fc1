/**
 * The Worker with the calls that cron and queue make to its bindings printed behind each event; `/test-calls` answers with those
 * of the requests since. One event at a time, or their calls add up.
 */
import worker from './cloudflare.mjs';
import { takeCalls } from './observed-bindings.mjs';

function print(kind) {
  console.log(JSON.stringify({ event: 'test_calls', kind, ...takeCalls() }));
}

export default {
  fetch: (request, ...args) =>
    new URL(request.url).pathname === '/test-calls' ? Response.json(takeCalls()) : worker.fetch(request, ...args),
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
