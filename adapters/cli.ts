#!/usr/bin/env node
/** The `hotpack` command. */
import { defineCommand, runMain } from 'citty';
import { VERSION } from '../src/version.ts';

const serve = defineCommand({
  meta: { name: 'serve', description: 'Serve Git repositories; settings come from the environment.' },
  // The module serves when it is loaded. It lies beside this file in dist and stays a file of its own, since its
  // pack threads are found from where it lies.
  run: () => import(new URL('./adapters/node.js', import.meta.url).href),
});

const main = defineCommand({
  meta: { name: 'hotpack', version: VERSION, description: 'A read cache for Git.' },
  subCommands: { serve },
});

void runMain(main);
