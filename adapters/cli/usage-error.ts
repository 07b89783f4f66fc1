/** The command was not called as it can be: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Refuses what a command does not know: citty takes any flag. */
export function rejectUnknown(args: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const positional = (args['_'] as readonly string[] | undefined) ?? [];
  const named = known.filter((name) => !name.startsWith('-'));
  const extra = positional.length > named.length ? positional[named.length] : undefined;
  const unknown = Object.keys(args).find(
    (name) => name !== '_' && !known.includes(name) && !known.includes(`--${name}`),
  );
  if (unknown !== undefined) throw new UsageError(`unknown option --${unknown}`);
  if (extra !== undefined) throw new UsageError(`unexpected argument ${extra}`);
}

/** A whole number in its bounds. */
export function wholeNumber(name: string, text: string, max: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > max) throw new UsageError(`--${name} is a whole number from 1 to ${max}`);
  return value;
}
