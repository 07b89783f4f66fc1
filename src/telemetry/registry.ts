/**
 * Counters, gauges and histograms in Prometheus' text format (version 0.0.4). Ours because the well-kept library for it
 * loads `cluster`, `v8` and `http` and does not start in workerd.
 *
 * A metric holds one number per set of label values; what labels a metric can have is fixed in its type, which of
 * them it has when it is made. Their values come from unions in `metrics.ts`, so memory is bounded by the product of these
 * unions; but for names of repositories, where these are asked for.
 */
/** A metric's labels and the values that each can have. */
export type Labels = Readonly<Record<string, string>>;
export type NoLabels = Readonly<Record<never, string>>;

export interface Counter<L extends Labels> {
  /** Adds `amount` (default 1, at least 0). */
  add(labels: L, amount?: number): void;
}

export interface Gauge<L extends Labels> {
  set(labels: L, value: number): void;
}

export interface Histogram<L extends Labels> {
  /** `value` in the unit that the metric's name ends in. */
  observe(labels: L, value: number): void;
}

interface Definition<L extends Labels> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Extract<keyof L, string>[];
}

export interface Registry {
  counter<L extends Labels>(definition: Definition<L>): Counter<L>;
  gauge<L extends Labels>(definition: Definition<L>): Gauge<L>;
  /** `buckets`: upper bounds, ascending, without +Inf. */
  histogram<L extends Labels>(definition: Definition<L> & { readonly buckets: readonly number[] }): Histogram<L>;
  /** Every metric, ordered by name, in Prometheus' text format. */
  render(): string;
}

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function createRegistry(): Registry {
  const metrics = new Map<string, () => string[]>();

  function register(kind: string, definition: Definition<never>, samples: () => string[]): void {
    const { name, help } = definition;
    if (metrics.has(name)) throw new TypeError(`metric ${name} is defined twice`);
    metrics.set(name, () => [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${kind}`, ...samples()]);
  }

  function numbers(kind: string, definition: Definition<never>): Map<string, number> {
    const values = new Map<string, number>();
    if (definition.labels.length === 0) values.set('', 0);
    register(kind, definition, () => [...values].map(([key, value]) => `${definition.name}${braces(key)} ${value}`));
    return values;
  }

  return {
    counter(definition) {
      const values = numbers('counter', definition);
      return {
        add(labels, amount = 1) {
          if (!(amount >= 0)) throw new RangeError(`${definition.name}: a counter only grows, got ${amount}`);
          const key = labelKey(definition.labels, labels);
          values.set(key, (values.get(key) ?? 0) + amount);
        },
      };
    },
    gauge(definition) {
      const values = numbers('gauge', definition);
      return { set: (labels, value) => void values.set(labelKey(definition.labels, labels), value) };
    },
    histogram(definition) {
      const series = new Map<string, HistogramSeries>();
      register('histogram', definition, () =>
        [...series].flatMap(([key, one]) => histogramLines(definition.name, key, definition.buckets, one)),
      );
      return {
        observe(labels, value) {
          const key = labelKey(definition.labels, labels);
          let one = series.get(key);
          if (one === undefined) {
            one = { counts: new Float64Array(definition.buckets.length + 1), sum: 0 };
            series.set(key, one);
          }
          const found = definition.buckets.findIndex((bound) => value <= bound);
          const slot = found === -1 ? definition.buckets.length : found;
          one.counts[slot] = (one.counts[slot] as number) + 1;
          one.sum += value;
        },
      };
    },
    render() {
      const names = [...metrics.keys()].toSorted();
      return names.flatMap((name) => (metrics.get(name) as () => string[])()).join('\n') + '\n';
    },
  };
}

interface HistogramSeries {
  /** Observations per bucket (not cumulative); the last one is above every bound. */
  readonly counts: Float64Array;
  sum: number;
}

function histogramLines(name: string, key: string, buckets: readonly number[], series: HistogramSeries): string[] {
  const separator = key === '' ? '' : ',';
  const lines: string[] = [];
  let total = 0;
  for (let slot = 0; slot <= buckets.length; slot++) {
    total += series.counts[slot] as number;
    lines.push(`${name}_bucket{${key}${separator}le="${buckets[slot] ?? '+Inf'}"} ${total}`);
  }
  lines.push(`${name}_sum${braces(key)} ${series.sum}`, `${name}_count${braces(key)} ${total}`);
  return lines;
}

function labelKey<L extends Labels>(names: readonly Extract<keyof L, string>[], labels: L): string {
  return names.map((name) => `${name}="${escapeLabel(labels[name] as string)}"`).join(',');
}

function braces(key: string): string {
  return key === '' ? '' : `{${key}}`;
}

function escapeLabel(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
