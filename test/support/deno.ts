/** The two versions of Deno that hotpack is held to: the newest, and the one that Deno Deploy runs. */
import { fileURLToPath } from 'node:url';

const packages = fileURLToPath(new URL('../../node_modules', import.meta.url));

export const DENO: string = `${packages}/deno/deno`;
export const DENO_ON_DEPLOY: string = `${packages}/deno-2.5/deno`;
