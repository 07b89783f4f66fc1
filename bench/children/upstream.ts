/** Child process: serves the bare repository at argv[2] with `git http-backend`, prints its URL, ends with SIGTERM. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { startUpstream } from '../../test/support/upstream.ts';

const [folder] = process.argv.slice(2) as [string];
process.once('SIGTERM', () => process.exit(0));
const upstream = await startUpstream();
const link = upstream.folder('bench/repository');
mkdirSync(dirname(link), { recursive: true });
symlinkSync(folder, link);
console.log(upstream.base('bench'));
