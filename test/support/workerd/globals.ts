/** Put into bundles for workerd, where these are modules only. */
export { Buffer } from 'node:buffer';
export { setImmediate } from 'node:timers';
