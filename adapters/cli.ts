#!/usr/bin/env node
/** The `hotpack` command. Exit codes: 0 done, 1 something failed, 2 it was called in a way that it cannot be. */
import { defineCommand, runCommand, runMain } from 'citty';
import { VERSION } from '../src/version.ts';
import { counts } from './cli/counts.ts';
import { top } from './cli/top.ts';
import { UsageError } from './cli/usage-error.ts';
import { warm } from './cli/warm.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** citty colours its errors wherever they go. */
// oxlint-disable-next-line no-control-regex -- that is what colours are made of
const COLOURS = /\u001b\[\d+m/g;

const serve = defineCommand({
  meta: { name: 'serve', description: 'Serve Git repositories; settings come from the environment.' },
  // The module serves when it is loaded. It lies beside this file in dist and stays a file of its own, since its
  // pack threads are found from where it lies.
  run: () => import(new URL('./adapters/node.js', import.meta.url).href),
});

const main = defineCommand({
  meta: { name: 'hotpack', version: VERSION, description: 'A read cache for Git.' },
  subCommands: { serve, top, warm, counts },
});

// Whoever reads may have read enough.
process.stdout.on('error', () => process.exit(0));
const rawArgs = process.argv.slice(2);
const asksForHelp = rawArgs.some((arg) => arg === '--help' || arg === '-h') || rawArgs[0] === '--version';
try {
  await (asksForHelp ? runMain(main) : runCommand(main, { rawArgs }));
} catch (error) {
  const { name, message } = error as Error;
  // citty's own: no such command, an argument is missing.
  const isUsage = error instanceof UsageError || name === 'CLIError';
  const words = message.replace(COLOURS, '').replace(/\.$/, '');
  process.stderr.write(`hotpack: ${words}${isUsage ? '; --help says more' : causeOf(error as Error)}\n`);
  process.exitCode = isUsage ? EXIT_USAGE : EXIT_FAILED;
}

/** What was behind it, where that is an error of somebody else's. */
function causeOf({ message, cause }: Error): string {
  return cause instanceof Error && !message.includes(cause.message) ? `: ${cause.message}` : '';
}
