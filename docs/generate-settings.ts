/** Writes the README's table of settings from `src/settings.ts`: `npm run docs`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeValue } from '../src/setting-values.ts';
import { SETTINGS, type Setting } from '../src/settings.ts';

const START = '<!-- settings: written by npm run docs -->';
const END = '<!-- settings end -->';

/** `readme` with its table of settings as `SETTINGS` has it. Throws where the two marks are not there. */
export function withSettingsTable(readme: string): string {
  const start = readme.indexOf(START);
  const end = readme.indexOf(END);
  if (start === -1 || end < start) throw new Error(`README.md lacks ${START} … ${END}`);
  return `${readme.slice(0, start + START.length)}\n\n${settingsTable()}\n\n${readme.slice(end)}`;
}

function settingsTable(): string {
  const rows = Object.values(SETTINGS).map(settingRow);
  return ['| name | default | takes | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

function settingRow(setting: Setting): string {
  const edge = setting.edgeDefault === undefined ? '' : `, on Workers \`${setting.edgeDefault}\``;
  const fallback = setting.default === '' ? '–' : `\`${setting.default}\`${edge}`;
  return `| \`${setting.env}\` | ${fallback} | ${describeValue(setting.value)} | ${setting.meaning} |`;
}

if (import.meta.main) {
  const path = fileURLToPath(new URL('../README.md', import.meta.url));
  writeFileSync(path, withSettingsTable(readFileSync(path, 'utf8')));
}
