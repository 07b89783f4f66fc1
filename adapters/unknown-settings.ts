import type { Config } from '../src/config.ts';
import { createLogger, type LogSink } from '../src/telemetry/logger.ts';

/** One warning for each `HOTPACK_*` name that means nothing here: a misspelt setting would otherwise be silent. */
export function warnUnknownSettings(names: readonly string[], config: Config, sink: LogSink): void {
  const logger = createLogger({ sink, level: config.logLevel, now: Date.now, secrets: config.secrets });
  for (const name of names) logger.warn('setting_unknown', { name });
}
