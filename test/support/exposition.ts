export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** What Prometheus reads: the text format, version 0.0.4, as a server writes it. */
export class Exposition {
  readonly families: readonly Family[];

  constructor(text: string) {
    const families: { name: string; type: string; help: string; samples: Sample[] }[] = [];
    for (const line of text.split('\n')) {
      const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
      if (kind === 'HELP') families.push({ name, help: rest, type: '', samples: [] });
      const last = families.at(-1);
      if (line === '' || !last || kind === 'HELP') continue;
      if (kind === 'TYPE') last.type = rest;
      else last.samples.push(sampleOf(line));
    }
    this.families = families;
  }

  static async scrape(url: string): Promise<Exposition> {
    const response = await fetch(url);
    if (response.status !== 200) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
    return new Exposition(await response.text());
  }

  get samples(): readonly Sample[] {
    return this.families.flatMap(({ samples }) => samples);
  }

  /** The series that have these labels, and maybe others. */
  find(name: string, labels: Labels = {}): readonly Sample[] {
    return this.samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
  }

  /** Their sum; 0 where there is none. */
  sum(name: string, labels: Labels = {}): number {
    return this.find(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  /** Of each series what its labels are, and its value: `a="1",b="2" 3`. */
  lines(name: string, labels: Labels = {}): readonly string[] {
    return this.find(name, labels).map(({ labels, value }) => `${labelsText(labels)} ${value}`);
  }
}

export const labelsText = (labels: Labels) =>
  Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
    .join(',');

function sampleOf(line: string): Sample {
  const [, name, , inner = '', value] = /^([a-zA-Z_:][\w:]*)(\{(.*)\})? (\S+)$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`This is no sample: ${line}`);
  const labels: Record<string, string> = {};
  for (const [, label = '', text = ''] of inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)) {
    if (label in labels) throw new Error(`The label ${label} is there twice: ${line}`);
    labels[label] = text.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c));
  }
  return { name, labels, value: numberOf(value) };
}

const numberOf = (text: string) =>
  text === '+Inf' ? Number.POSITIVE_INFINITY : text === 'Nan' || text === 'NaN' ? Number.NaN : Number(text);
