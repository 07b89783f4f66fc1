/** What belongs to the process and not to the server: how it ends. */

export const EXIT_FAILED = 1;
export const EXIT_WRONG_SETTING = 2;

/**
 * Runs `stop` at the first SIGTERM or SIGINT and exits with 0 when it has ended; a second signal exits at once.
 */
export function exitOnSignal(stop: (signal: NodeJS.Signals) => Promise<void>): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(0);
    isStopping = true;
    stop(signal).then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  // Deno 2.5 tells the listener nothing.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => onSignal(signal));
}

/** One JSON line on standard error, then the end. */
export function fail(error: unknown): never {
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  const line = { time: new Date().toISOString(), level: 'error', event: 'crashed', message, stack };
  process.stderr.write(`${JSON.stringify(line)}\n`);
  process.exit(EXIT_FAILED);
}
