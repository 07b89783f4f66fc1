/**
 * A bucket that is not the tests' own, in any server that speaks S3: `HOTPACK_TEST_S3_ENDPOINT`, `HOTPACK_TEST_S3_BUCKET` (it is
 * there already), `HOTPACK_TEST_S3_ACCESS_KEY_ID` and `HOTPACK_TEST_S3_SECRET_ACCESS_KEY` name it, and `HOTPACK_TEST_S3_REGION` where
 * it is not us-east-1. Each place in it has a prefix of its own; Amazon's client says what lies there, and removes it.
 */
import { randomUUID } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  DeleteObjectsCommand,
  paginateListObjectsV2,
  ListMultipartUploadsCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { S3Options } from '../../src/storage/drivers/s3/client.ts';

const [endpoint, bucket, accessKeyId, secretAccessKey] = [
  'ENDPOINT',
  'BUCKET',
  'ACCESS_KEY_ID',
  'SECRET_ACCESS_KEY',
].map((name) => process.env[`HOTPACK_TEST_S3_${name}`] ?? '') as [string, string, string, string];
const region = process.env['HOTPACK_TEST_S3_REGION'] ?? 'us-east-1';

/** Empty, or why tests over such a bucket are skipped: to be part of their names. */
export const withoutNamedS3: string =
  endpoint !== '' && bucket !== '' ? '' : ': skipped, HOTPACK_TEST_S3_ENDPOINT and _BUCKET name none';

export interface NamedS3 {
  readonly options: S3Options;
  /** What hotpack is told of it. */
  readonly env: Readonly<Record<string, string>>;
  /** Objects and uploads under its prefix. */
  readonly count: () => Promise<number>;
  /** Removes them. */
  readonly clear: () => Promise<void>;
}

export function openNamedS3(): NamedS3 {
  const prefix = `hotpack-tests/${randomUUID()}`;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    credentials,
  });
  const query = { Bucket: bucket, Prefix: `${prefix}/` };

  async function objects(): Promise<string[]> {
    const keys: string[] = [];
    for await (const page of paginateListObjectsV2({ client }, query)) {
      keys.push(...(page.Contents ?? []).map(({ Key = '' }) => Key));
    }
    return keys;
  }
  /** Those of other places, too, on servers that do not heed the prefix. */
  async function uploads(): Promise<{ readonly Key: string; readonly UploadId: string }[]> {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand(query));
    return Uploads.map(({ Key = '', UploadId = '' }) => ({ Key, UploadId })).filter(({ Key }) =>
      Key.startsWith(query.Prefix),
    );
  }

  return {
    options: { bucket, region, endpoint, prefix, ...credentials },
    env: {
      HOTPACK_STORAGE: `s3://${bucket}/${prefix}`,
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    },
    count: async () => (await objects()).length + (await uploads()).length,
    async clear() {
      const keys = await objects();
      for (let at = 0; at < keys.length; at += 1000) {
        const Objects = keys.slice(at, at + 1000).map((Key) => ({ Key }));
        await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }));
      }
      for (const upload of await uploads()) {
        await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, ...upload }));
      }
    },
  };
}
