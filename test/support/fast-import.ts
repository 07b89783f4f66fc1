/** A stream for `git fast-import`, built up commit by commit: the same calls give the same object ids. */
import { gitSync } from './git.ts';

export type FileChange =
  | { readonly path: string; readonly data: string | Uint8Array; readonly mode?: '100644' | '100755' | '120000' }
  | { readonly path: string; readonly gitlink: string }
  | { readonly path: string; readonly deleted: true }
  | { readonly path: string; readonly renamedFrom: string };

export interface CommitSpec {
  readonly ref: string;
  readonly message: string;
  readonly changes?: readonly FileChange[];
  /** A mark or revision; by default the tip that the same stream gave `ref`. */
  readonly from?: string;
  readonly merge?: readonly string[];
  /** Seconds since 1970; by default a minute after the commit before. */
  readonly at?: number;
}

export class FastImport {
  private readonly parts: Buffer[] = [];
  private marks = 0;
  private clock: number;

  constructor(startsAt = 1_600_000_000) {
    this.clock = startsAt;
  }

  commit(spec: CommitSpec): string {
    const mark = `:${++this.marks}`;
    this.clock = spec.at ?? this.clock + 60;
    this.text(`commit ${spec.ref}\nmark ${mark}\n`);
    this.text(
      `author Ada Author <ada@example.com> ${this.clock} +0100\ncommitter Cleo Committer <cleo@example.com> ${this.clock} +0000\n`,
    );
    this.data(spec.message);
    if (spec.from !== undefined) this.text(`from ${spec.from}\n`);
    for (const parent of spec.merge ?? []) this.text(`merge ${parent}\n`);
    for (const change of spec.changes ?? []) {
      if ('data' in change) {
        this.text(`M ${change.mode ?? '100644'} inline ${change.path}\n`);
        this.data(change.data);
      } else if ('gitlink' in change) this.text(`M 160000 ${change.gitlink} ${change.path}\n`);
      else if ('deleted' in change) this.text(`D ${change.path}\n`);
      else this.text(`R ${change.renamedFrom} ${change.path}\n`);
    }
    this.text('\n');
    return mark;
  }

  reset(ref: string, to: string): void {
    this.text(`reset ${ref}\nfrom ${to}\n\n`);
  }

  tag(name: string, from: string, message: string): string {
    const mark = `:${++this.marks}`;
    this.text(`tag ${name}\nmark ${mark}\nfrom ${from}\ntagger Tess Tagger <tess@example.com> ${this.clock} +0000\n`);
    this.data(message);
    return mark;
  }

  /** Feeds everything so far to the repository at `folder`. */
  run(folder: string): void {
    gitSync(['fast-import', '--quiet', '--force'], { cwd: folder, input: Buffer.concat(this.parts) });
  }

  private text(text: string): void {
    this.parts.push(Buffer.from(text));
  }

  private data(data: string | Uint8Array): void {
    const bytes = Buffer.from(data as string);
    this.text(`data ${bytes.length}\n`);
    this.parts.push(bytes);
    this.text('\n');
  }
}
