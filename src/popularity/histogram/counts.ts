/**
 * Grow-only counts: of what one instance said about one repository and field, the largest is the truth, in whatever order it was heard
 * and however often. So merging takes the maximum within an instance, and only `addUp` adds.
 */
/** Repository → field (`clones`, `requests mirror`, …) → count, a positive safe integer. */
export type Counts = Map<string, Map<string, number>>;
export type CountsByInstance = Map<string, Counts>;

export function raise(counts: Counts, repo: string, field: string, count: number): void {
  let fields = counts.get(repo);
  if (fields === undefined) counts.set(repo, (fields = new Map()));
  if (count > (fields.get(field) ?? 0)) fields.set(field, count);
}

export function mergeInto(target: CountsByInstance, instance: string, counts: Counts): void {
  const present = target.get(instance);
  if (present === undefined) {
    target.set(instance, new Map([...counts].map(([repo, fields]) => [repo, new Map(fields)])));
    return;
  }
  for (const [repo, fields] of counts) for (const [field, count] of fields) raise(present, repo, field, count);
}

/** True where `counts` says nothing of `instance` that `by` does not say at least as large. */
export function covers(by: CountsByInstance, instance: string, counts: Counts): boolean {
  const present = by.get(instance);
  for (const [repo, fields] of counts) {
    const known = present?.get(repo);
    for (const [field, count] of fields) if ((known?.get(field) ?? 0) < count) return false;
  }
  return true;
}

export function coversAll(by: CountsByInstance, counts: CountsByInstance): boolean {
  for (const [instance, one] of counts) if (!covers(by, instance, one)) return false;
  return true;
}

/** Adds what every instance counted to `sums`. */
export function addUp(sums: Counts, counts: CountsByInstance): void {
  for (const one of counts.values()) {
    for (const [repo, fields] of one) {
      let sum = sums.get(repo);
      if (sum === undefined) sums.set(repo, (sum = new Map()));
      for (const [field, count] of fields) sum.set(field, (sum.get(field) ?? 0) + count);
    }
  }
}
