/** What of Deno's own is used. Some of it is there only on Deno Deploy, or with a flag. */
import type { DenoKv } from '../../src/storage/drivers/deno-kv.ts';

export interface DenoRuntime {
  /** On Deno Deploy with a database attached, or with `--unstable-kv`. */
  readonly openKv?: (path?: string) => Promise<DenoKv>;
  /** On Deno Deploy, or with `--unstable-cron`. A run is skipped while the last one goes on. */
  readonly cron?: (name: string, schedule: string, run: () => Promise<void>) => Promise<void>;
}

/** Undefined: this is not Deno. */
export const runtime: DenoRuntime | undefined = (globalThis as { readonly Deno?: DenoRuntime }).Deno;
