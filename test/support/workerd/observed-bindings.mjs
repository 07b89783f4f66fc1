/**
 * Stands between the Worker and its bindings inside workerd, for tests: counts what an event asks of them (subrequests, which
 * miniflare does not limit), prints what is put under named keys, and lets the event that makes a named call hang in it for ever, as one that is
 * killed there does.
 */
import { env as bound } from 'cloudflare:workers';

const { TEST_HANG: hang = '', TEST_CLOCK_MS: clock = '0', TEST_PRINTED: printed = '', ...rest } = bound;
const clockMs = Number(clock);
if (clockMs !== 0) {
  const now = Date.now.bind(Date);
  Date.now = () => now() + clockMs;
}

/** How often each was called, by `<binding>.<method>`. */
let calls = {};

function print(event, fields) {
  console.log(JSON.stringify({ event, ...fields }));
}

/** `<method> <start of the key>…<part of the key>`; `$` behind that part: the key's end. */
const [hangStart, hangPart = ''] = hang.split('…');

function hangsIn(method, key) {
  if (hang === '' || !`${method} ${key}`.startsWith(hangStart)) return false;
  return hangPart.endsWith('$') ? key.endsWith(hangPart.slice(0, -1)) : key.includes(hangPart);
}

/** Counts a call; hangs in it where the test says so. */
async function called(method, key) {
  calls[method] = (calls[method] ?? 0) + 1;
  if (!hangsIn(method, key)) return;
  print('test_hung', { method, key });
  await new Promise(() => {});
}

function observed(target, name) {
  return new Proxy(target, {
    get(object, property) {
      const value = object[property];
      if (typeof value !== 'function') return value;
      return (...args) => {
        if (property === 'resumeMultipartUpload') return observed(value.apply(object, args), `${name}.upload`);
        return (async () => {
          await called(`${name}.${String(property)}`, typeof args[0] === 'string' ? args[0] : '');
          const result = await value.apply(object, args);
          // Of a conditional put that was refused nothing is there.
          if (property === 'put' && printed !== '' && args[0].endsWith(printed) && result !== null) {
            print('test_put', { key: args[0], text: new TextDecoder().decode(args[1]) });
          }
          return property === 'createMultipartUpload' ? observed(result, `${name}.upload`) : result;
        })();
      };
    },
  });
}

const runtimeFetch = globalThis.fetch;
globalThis.fetch = async (...args) => {
  await called('fetch', String(args[0]?.url ?? args[0]));
  return runtimeFetch(...args);
};

/** The calls since somebody last asked: all of them, and how many of each. */
export function takeCalls() {
  const by = calls;
  calls = {};
  return { calls: Object.values(by).reduce((sum, count) => sum + count, 0), by };
}

export const env = Object.fromEntries(
  Object.entries(rest).map(([name, value]) => [name, typeof value === 'object' ? observed(value, name) : value]),
);
