/**
 * What every storage driver must do (src/storage/contract.ts), as tests. `describeStorageContract` is run by each driver's own
 * test file with a factory of fresh stores.
 */
import { afterEach, beforeEach, describe } from 'vitest';
import { ContractContext } from './storage-contract/context.ts';
import type { StorageUnderTest } from './storage-contract/context.ts';
import { describeObjectCases } from './storage-contract/object-cases.ts';
import { describeReadingCases } from './storage-contract/reading-cases.ts';
import { describeWriterCases } from './storage-contract/writer-cases.ts';
import { describeDocumentCases } from './storage-contract/document-cases.ts';
import { describeListingCases } from './storage-contract/listing-cases.ts';
import { describeKeyCases } from './storage-contract/key-cases.ts';
import { describeLifecycleCases } from './storage-contract/lifecycle-cases.ts';
import { describeUnstorageCases } from './storage-contract/unstorage-cases.ts';

export function describeStorageContract(name: string, factory: () => Promise<StorageUnderTest>): void {
  describe(`storage contract: ${name}`, () => {
    const context = new ContractContext();
    beforeEach(async () => {
      context.current = await factory();
    });
    afterEach(async () => {
      await context.current?.destroy();
      context.current = undefined;
    });
    describeObjectCases(context);
    describeReadingCases(context);
    describeWriterCases(context);
    describeDocumentCases(context);
    describeListingCases(context);
    describeKeyCases(context);
    describeLifecycleCases(context);
    describeUnstorageCases(context);
  });
}
