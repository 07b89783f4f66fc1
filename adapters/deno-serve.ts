/** hotpack on Deno, for `deno serve`, which listens where its own flags say: `HOST` and `PORT` mean nothing here. */
import { serve } from 'h3/deno';
import { openDenoApp, scheduleWork } from './deno/open-app.ts';
import { exitOnSignal, fail } from './process.ts';

process.on('uncaughtException', fail);
const opening = openDenoApp();
scheduleWork(opening);
const opened = await opening.catch(fail);
const { app } = opened;
await app.start();
exitOnSignal((signal) => opened.stop(signal, Promise.resolve()));

const server: Pick<ReturnType<typeof serve>, 'fetch'> = serve(app.h3, { manual: true, gracefulShutdown: false });
export default { fetch: server.fetch } as { fetch: (typeof server)['fetch'] };
