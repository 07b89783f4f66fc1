/** `hotpack top`: the most cloned repositories, as a running server counts them. */
import { defineCommand, type CommandDef } from 'citty';
import type { Top } from '../../src/popularity/contract.ts';
import { askServer } from './server-api.ts';
import { rejectUnknown, wholeNumber } from './usage-error.ts';

const args = {
  days: { type: 'string', default: '14', description: 'Today and the days before it, 1 to 90', valueHint: 'N' },
  limit: { type: 'string', default: '20', description: 'How many repositories, 1 to 1000', valueHint: 'N' },
  json: { type: 'boolean', description: "The server's answer as it is" },
} as const;

export const top: CommandDef<typeof args> = defineCommand({
  meta: { name: 'top', description: 'Show the most cloned repositories of HOTPACK_SERVER.' },
  args,
  async run({ args: given }) {
    rejectUnknown(given, ['--days', '--limit', '--json']);
    const days = wholeNumber('days', given.days, 90);
    const limit = wholeNumber('limit', given.limit, 1_000);
    const answer = (await askServer(`/api/v1/repos/top?days=${days}&limit=${limit}`)) as Top;
    process.stdout.write(given.json ? `${JSON.stringify(answer)}\n` : tableOf(answer));
  },
});

function tableOf({ from, to, repos }: Top): string {
  if (repos.length === 0) return `no clones from ${from} to ${to}\n`;
  const width = Math.max('clones'.length, ...repos.map(({ clones }) => String(clones).length));
  const lines = repos.map(({ repo, clones }) => `${String(clones).padStart(width)}  ${repo}\n`);
  return `${'clones'.padStart(width)}  repository (${from} to ${to})\n${lines.join('')}`;
}
