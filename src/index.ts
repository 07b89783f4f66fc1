/** The package's entry: hotpack as an h3 app inside another program. */
export { createApp } from './app.ts';
export { resolveConfig } from './config.ts';
export type { App, Platform } from './platform.ts';
