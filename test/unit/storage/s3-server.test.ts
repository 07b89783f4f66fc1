/** The S3 server of the tests refuses what Amazon refuses, and Amazon's own client works with it. */
import { request as httpRequest } from 'node:http';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { AwsV4Signer } from 'aws4fetch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startS3Server, type S3Server } from '../../support/s3-server.ts';
import { bytesOf, equalBytes, range } from '../../support/storage-contract/context.ts';

let server: S3Server;
let client: S3Client;
const Bucket = 'test-bucket';

function clientWith(credentials: { readonly secretAccessKey?: string; readonly sessionToken?: string }): S3Client {
  const { endpoint, region } = server;
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    credentials: { ...server.credentials, ...credentials },
  });
}

beforeEach(async () => {
  server = await startS3Server({
    credentials: { accessKeyId: 'AK', secretAccessKey: 'a+b/c=', sessionToken: 'session/token==' },
  });
  client = clientWith({});
});
afterEach(async () => {
  client.destroy();
  await server.stop();
});

const keys = ['plain', 'a b/c+d', 'ünï/🎉', "!'()*~", 'a%20b', 'q?x=1&y', '@:;,$'];

describe("Amazon's client", () => {
  test('puts, reads, lists and deletes keys of any kind', async () => {
    for (const Key of keys) {
      await client.send(new PutObjectCommand({ Bucket, Key, Body: bytesOf(1000), Metadata: { note: 'x' } }));
      const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
      expect(head).toMatchObject({ ContentLength: 1000, Metadata: { note: 'x' } });
      const got = await client.send(new GetObjectCommand({ Bucket, Key, Range: 'bytes=10-19' }));
      expect(got.ContentRange).toBe('bytes 10-19/1000');
      expect(await got.Body?.transformToByteArray()).toEqual(bytesOf(1000).slice(10, 20));
    }
    expect([...server.store.objects.keys()]).toEqual(keys);
    expect((await listed('')).toSorted()).toEqual(keys.toSorted());
    await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }));
    expect(await listed('')).toEqual([]);
  });

  test('pages through more than 1,000 keys', async () => {
    for (const i of range(2_345)) server.store.put(`many/${String(i).padStart(5, '0')}`, Buffer.from('x'), {});
    server.store.put('other', Buffer.from('x'), {});
    const found = await listed('many/');
    expect(found).toHaveLength(2_345);
    expect(found).toEqual(found.toSorted());
    expect(server.calls.filter((call) => call.startsWith('ListObjectsV2'))).toHaveLength(3);
  });

  test('uploads in parts, sent and copied; small and missing ones are refused', async () => {
    const Key = 'parts';
    const part = bytesOf(5 * 1024 * 1024);
    server.store.put('source', Buffer.from(part), {});
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const upload = { Bucket, Key, UploadId };
    const first = await client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: part }));
    const copied = await client.send(
      new UploadPartCopyCommand({ ...upload, PartNumber: 2, CopySource: `${Bucket}/source` }),
    );
    const last = await client.send(new UploadPartCommand({ ...upload, PartNumber: 3, Body: bytesOf(3) }));
    const listing = await client.send(new ListMultipartUploadsCommand({ Bucket }));
    expect(listing.Uploads).toMatchObject([{ Key, UploadId }]);
    const ETags = [first.ETag, copied.CopyPartResult?.ETag, last.ETag];
    const complete = (order: readonly number[]): Promise<unknown> => {
      const Parts = order.map((PartNumber) => ({ PartNumber, ETag: ETags[PartNumber - 1] }));
      return client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }));
    };
    await expect(complete([2, 1])).rejects.toMatchObject({ name: 'InvalidPartOrder' });
    await expect(complete([1, 2, 4])).rejects.toMatchObject({ name: 'InvalidPart' });
    await client.send(new UploadPartCommand({ ...upload, PartNumber: 4, Body: bytesOf(3) }));
    ETags.push(last.ETag);
    await expect(complete([1, 3, 4])).rejects.toMatchObject({ name: 'EntityTooSmall' });
    await complete([1, 2, 3]);
    const { bytes, etag } = server.store.objects.get(Key) ?? { bytes: new Uint8Array(), etag: '' };
    expect(equalBytes(bytes, Buffer.concat([part, part, bytesOf(3)]))).toBe(true);
    expect(etag).toMatch(/^[0-9a-f]{32}-3$/);
    await expect(client.send(new AbortMultipartUploadCommand(upload))).rejects.toMatchObject({ name: 'NoSuchUpload' });
  });

  test('meets conditions, one of 20 creators wins', async () => {
    const put = (conditions: object): Promise<string | undefined> =>
      client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: bytesOf(3), ...conditions })).then(
        (put) => put.ETag,
        (error: { $metadata: { httpStatusCode: number } }) => String(error.$metadata.httpStatusCode),
      );
    expect(await put({ IfMatch: '"none"' })).toBe('404');
    const results = await Promise.all(range(20).map(() => put({ IfNoneMatch: '*' })));
    expect(results.filter((result) => result !== '412')).toHaveLength(1);
    expect(await put({ IfMatch: '"stale"' })).toBe('412');
    const etag = results.find((result) => result !== '412');
    expect(await put({ IfMatch: etag })).toBe(etag);
    const stale = client.send(new GetObjectCommand({ Bucket, Key: 'k', IfMatch: '"stale"' }));
    await expect(stale).rejects.toMatchObject({ name: 'PreconditionFailed' });
    const beyond = client.send(new GetObjectCommand({ Bucket, Key: 'k', Range: 'bytes=3-' }));
    await expect(beyond).rejects.toMatchObject({ name: 'InvalidRange' });
  });

  test('is refused with a wrong secret or session', async () => {
    for (const [wrong, name] of [
      [{ secretAccessKey: 'a+b/c' }, 'SignatureDoesNotMatch'],
      [{ sessionToken: 'other' }, 'InvalidToken'],
    ] as const) {
      const other = clientWith(wrong);
      const put = other.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
      await expect(put).rejects.toMatchObject({ name, $metadata: { httpStatusCode: 403 } });
      other.destroy();
    }
    expect(server.store.objects.size).toBe(0);
  });
});

describe('a request by hand', () => {
  test.each([
    ['unsigned', { authorization: undefined }, 'x', 403],
    ['with a header changed that was signed', { 'x-amz-meta-a': '2' }, 'x', 403],
    ['with a header added that is not signed', { 'x-amz-meta-b': '1' }, 'x', 403],
    ['with another body', {}, 'y', 400],
    ['without a length', { 'transfer-encoding': 'chunked' }, 'x', 411],
    ['as it should be', {}, 'x', 200],
  ] as const)('%s', async (_name, changes, body, status) => {
    expect(await send({ ...(await signed(new Date())), ...changes }, body)).toBe(status);
    expect(server.store.objects.has('k')).toBe(status === 200);
  });

  test('signed an hour ago is refused', async () => {
    expect(await send(await signed(new Date(Date.now() - 3_600_000)), 'x')).toBe(403);
  });
});

/** The headers of a `PUT k` of `x`. */
async function signed(time: Date): Promise<Record<string, string>> {
  const signer = new AwsV4Signer({
    method: 'PUT',
    url: `${server.endpoint}/${Bucket}/k`,
    headers: {
      'x-amz-meta-a': '1',
      'x-amz-content-sha256': '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
    },
    body: 'x',
    service: 's3',
    region: server.region,
    datetime: time.toISOString().replace(/[:-]|\.\d{3}/g, ''),
    ...server.credentials,
  });
  return Object.fromEntries((await signer.sign()).headers);
}

function send(headers: Readonly<Record<string, string | undefined>>, body: string): Promise<number> {
  const given = Object.fromEntries(Object.entries(headers).filter((entry) => entry[1] !== undefined));
  const length = 'transfer-encoding' in given ? {} : { 'content-length': String(body.length) };
  return new Promise((resolve, reject) => {
    const options = { method: 'PUT', headers: { ...given, ...length } as Record<string, string> };
    const request = httpRequest(`${server.endpoint}/${Bucket}/k`, options, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function listed(Prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket, Prefix })) {
    found.push(...(page.Contents ?? []).map((object) => object.Key ?? ''));
  }
  return found;
}
