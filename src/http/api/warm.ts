/** `POST /api/v1/repos/<upstream>/<path>/-/warm[?wait=1]`. */
import { parseRepositoryPath, type Repository, type UpstreamConfig } from '../../upstream/repository.ts';
import type { Warm, WarmedRepository, WarmProgress } from '../../warm/contract.ts';
import type { ApiAnswer } from './contract.ts';

const PATH = /^\/api\/v1\/repos\/(.+)\/-\/warm$/;
/** Received bytes are told this far apart. */
const PROGRESS_BYTES = 256 * 1024;

export type WarmPath =
  | { readonly kind: 'other' }
  | { readonly kind: 'repository'; readonly repository: Repository }
  | Extract<ApiAnswer, { readonly kind: 'error' }>;

export function parseWarmPath(pathname: string, upstreams: ReadonlyMap<string, UpstreamConfig>): WarmPath {
  const [, path] = PATH.exec(pathname) ?? [];
  if (path === undefined) return { kind: 'other' };
  const wrong = (status: number, code: string, message: string): WarmPath => ({ kind: 'error', status, code, message });
  if (path.split('/').includes('-')) return wrong(400, 'bad_request', 'the path has a segment - of its own');
  const parsed = parseRepositoryPath(`/git/${path}`, upstreams);
  switch (parsed.kind) {
    case 'bad_request':
      return wrong(400, 'bad_request', parsed.reason);
    case 'unknown_upstream':
      return wrong(404, 'not_found', `no upstream ${parsed.name} is configured`);
    case 'repository':
      if (parsed.rest !== '') return wrong(400, 'bad_request', 'the path goes on behind the repository');
      return { kind: 'repository', repository: parsed.repository };
  }
}

/** 202 at once, or NDJSON that ends with the status. The work goes on where the asker leaves, for as long as `keepAlive` may keep it. */
export function answerWarm(
  warm: Warm,
  repository: Repository,
  options: { readonly waits: boolean; readonly keepAlive: (work: Promise<unknown>) => void },
): Response {
  const headers = { 'cache-control': 'no-store' };
  if (!options.waits) {
    options.keepAlive(warm.warmLater(repository));
    return Response.json({ repo: repository.name, job: `warm:${repository.name}` }, { status: 202, headers });
  }
  const encoder = new TextEncoder();
  let isOpen = true;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const write = (value: unknown): void => {
        if (isOpen) controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
      };
      let told = 0;
      const onProgress = (progress: WarmProgress): void => {
        if (progress.kind === 'started') write({ repo: repository.name, path: progress.path });
        else if (progress.kind === 'waiting') write({ repo: repository.name, waiting: true });
        else if (progress.bytes - told >= PROGRESS_BYTES) write({ bytes: (told = progress.bytes) });
      };
      const work = warm.warmRepository(repository, onProgress).then((result: WarmedRepository) => {
        write(result);
        if (isOpen) controller.close();
        isOpen = false;
      });
      options.keepAlive(work);
    },
    cancel() {
      isOpen = false;
    },
  });
  return new Response(body, { headers: { ...headers, 'content-type': 'application/x-ndjson' } });
}
