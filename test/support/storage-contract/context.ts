/** What the contract's cases share: the store under test, and the few ways in which they look at it. */
import type { StorageReader } from '../../../src/storage/contract.ts';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';

export interface StorageUnderTest {
  readonly storage: DriverStorage;
  /** False where an open object cannot be read once it was deleted or replaced: then each read says so. Default: true. */
  readonly survivesDeletion?: boolean;
  /** True where a call takes milliseconds: races are then run by fewer. Default: false. */
  readonly isSlow?: boolean;
  /** Another instance over the same medium; absent where one instance is all there is. */
  readonly openSecond?: () => Promise<DriverStorage>;
  /** Everything that lies on the medium, what is in the making included. */
  readonly countTraces?: () => Promise<number>;
  readonly destroy: () => Promise<void>;
}

/** The store of the test that runs; `current` is set before each. */
export class ContractContext {
  current: StorageUnderTest | undefined;

  get under(): StorageUnderTest {
    if (this.current === undefined) throw new Error('no test is running');
    return this.current;
  }

  readonly openReader = async (key: string): Promise<StorageReader> => {
    const reader = await this.under.storage.open(key);
    if (reader.kind === 'absent') throw new Error(`${key} is absent`);
    return reader;
  };

  readonly keysUnder = async (prefix: string): Promise<string[]> => {
    const keys: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await this.under.storage.list(prefix, after === undefined ? {} : { after });
      keys.push(...page.objects.map((object) => object.key));
      if (page.next === undefined) return keys;
      after = page.next;
    }
  };

  /** The calls through which an object shows. */
  readonly waysToSee = async (key: string): Promise<string[]> => {
    const { storage } = this.under;
    const ways: string[] = [];
    if ((await storage.head(key)).kind !== 'absent') ways.push('head');
    if ((await storage.open(key)).kind !== 'absent') ways.push('open');
    if ((await storage.readAll(key, 10)).kind !== 'absent') ways.push('readAll');
    if ((await this.keysUnder('')).includes(key)) ways.push('list');
    return ways;
  };
}

/** Bytes that tell where they stand, so that a shifted range shows. */
export function bytesOf(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 17 + (i >>> 16) * 7 + seed) & 0xff;
  return bytes;
}

/** Adds one to a decimal document, as often as it takes. */
export async function increment(storage: DriverStorage, key: string): Promise<void> {
  while (true) {
    const read = await storage.readDocument(key);
    const value = read.kind === 'absent' ? 0 : Number(new TextDecoder().decode(read.bytes));
    const bytes = new TextEncoder().encode(String(value + 1));
    const result = await storage.replaceDocument(key, bytes, read.kind === 'absent' ? 'absent' : read.version);
    if (result.kind === 'replaced') return;
  }
}

export async function found(storage: DriverStorage, key: string, maxBytes = 1_000_000): Promise<Uint8Array> {
  const read = await storage.readAll(key, maxBytes);
  if (read.kind === 'absent') throw new Error(`${key} is absent`);
  return read.bytes;
}

export function versionOf(result: Awaited<ReturnType<DriverStorage['replaceDocument']>> | undefined): string {
  if (result?.kind !== 'replaced') throw new Error('the document was not replaced');
  return result.version;
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks));
}

/** Deep equality of large arrays takes vitest seconds. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
