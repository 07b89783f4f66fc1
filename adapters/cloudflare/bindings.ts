/** What of the runtime's own types the adapter uses, and what it is bound to (`wrangler.toml`). */

export interface ExecutionContext {
  waitUntil(work: Promise<unknown>): void;
}

export interface Queue {
  send(message: unknown): Promise<void>;
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
