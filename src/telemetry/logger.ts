/**
 * Structured log: one JSON object a line, `{time, level, event, …}`. Fields pass through `redact`, so an
 * Authorization value, a token or a URL's userinfo never comes out, wherever it was.
 */
import type { EventName } from './events.ts';
import { createRedact } from './redact.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
/** Takes one finished line without its newline. */
export type LogSink = (line: string) => void;
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(event: EventName, fields?: LogFields): void;
  info(event: EventName, fields?: LogFields): void;
  warn(event: EventName, fields?: LogFields): void;
  error(event: EventName, fields?: LogFields): void;
}

export interface LoggerOptions {
  readonly sink: LogSink;
  /** The lowest level that comes out. */
  readonly level: LogLevel;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Configured secrets in the clear, to be kept out of every line. */
  readonly secrets: readonly string[];
}

export function createLogger(options: LoggerOptions): Logger {
  const { sink, now } = options;
  const lowest = LOG_LEVELS.indexOf(options.level);
  const redact = createRedact(options.secrets);

  function write(level: LogLevel, event: EventName, fields: LogFields): void {
    if (LOG_LEVELS.indexOf(level) < lowest) return;
    const clean = redact(fields) as Record<string, unknown>;
    sink(JSON.stringify({ time: new Date(now()).toISOString(), level, event, ...without(clean) }));
  }

  return {
    debug: (event, fields = {}) => write('debug', event, fields),
    info: (event, fields = {}) => write('info', event, fields),
    warn: (event, fields = {}) => write('warn', event, fields),
    error: (event, fields = {}) => write('error', event, fields),
  };
}

/** A field never replaces the three that every line has. */
function without(fields: Record<string, unknown>): Record<string, unknown> {
  const { time: _time, level: _level, event: _event, ...rest } = fields;
  return rest;
}
