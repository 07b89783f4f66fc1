/** What of the runtime's own types the adapter uses, and what it is bound to (`wrangler.toml`). */
import type { CloudflareKvNamespace } from '../../src/storage/drivers/cloudflare-kv.ts';
import type { R2Bucket } from '../../src/storage/drivers/r2/binding.ts';

export interface ExecutionContext {
  waitUntil(work: Promise<unknown>): void;
}

export interface Bindings {
  /** Absent: mirrors live as long as the isolate. */
  readonly BUCKET?: R2Bucket;
  /** Absent: counters lie in the bucket. */
  readonly KV?: CloudflareKvNamespace;
  /** Absent: what is small is filled behind an answer. */
  readonly QUEUE?: { send(message: unknown): Promise<void> };
}

export interface MessageBatch {
  readonly messages: readonly {
    readonly body: unknown;
    ack(): void;
    retry(options: { readonly delaySeconds: number }): void;
  }[];
}

/** Bindings that are no text are no settings. */
export function textOnly(bindings: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(bindings).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
