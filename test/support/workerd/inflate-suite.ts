/** Which of many sizes the engine's inflater gives back otherwise than they were deflated, inside workerd. */
import { deflateSync } from 'node:zlib';
import { inflateWhole } from '../../../src/pack/codec/inflate.ts';

/** Noise and text by turns: streams of every kind of block. */
function contentOf(size: number): Uint8Array {
  const content = new Uint8Array(size);
  let seed = size;
  for (let i = 0; i < size; i++) {
    if (i % 2048 < 1024) seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    content[i] = i % 2048 < 1024 ? seed >>> 16 : 97 + (i % 13);
  }
  return content;
}

export default {
  fetch(request: Request): Response {
    const sizes = JSON.parse(new URL(request.url).searchParams.get('sizes') ?? '[]') as number[];
    const failed = sizes.filter((size) => {
      const content = contentOf(size);
      const stream = deflateSync(content, { level: size % 2 === 0 ? 1 : 6 });
      try {
        const inflated = inflateWhole(stream, 0, stream.length, size);
        return !inflated.every((byte, i) => byte === content[i]);
      } catch {
        return true;
      }
    });
    return Response.json({ tried: sizes.length, failed });
  },
};
