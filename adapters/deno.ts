/** hotpack on Deno, for `deno run` and Deno Deploy: running this module serves. */
import { serve } from 'h3/deno';
import { openDenoApp, scheduleWork } from './deno/open-app.ts';
import { exitOnSignal, fail } from './process.ts';

process.on('uncaughtException', fail);
const opening = openDenoApp();
scheduleWork(opening);
const opened = await opening.catch(fail);
const { app, config } = opened;
const { host: hostname, port } = config;
const server = serve(app.h3, { hostname, port, silent: true, gracefulShutdown: false });
await server.ready();
await app.start();
exitOnSignal((signal) => opened.stop(signal, server.close()));
console.log(`hotpack listening on ${server.url?.replace(/\/$/, '')}`);
