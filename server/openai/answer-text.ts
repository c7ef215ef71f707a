import type { Artifact, Part, Task } from '../../core/a2a.ts';
import type { TaskEvent } from '../../core/task/event.ts';
import { isJsonOf } from '../same-json.ts';

/**
 * What a task brings, as one text: its artifacts in the order in which they come, the text as it is, files as markdown
 * links and images, data as JSON in a code block. Data that says in another form what the text says is left out: an agent
 * with structured output gives both.
 *
 * Each call returns what has been added. A task as a whole, which a reader that has fallen behind is given, adds what it
 * has beyond what was there already.
 */
export class AnswerText {
  /** How much has been told of each artifact: characters of text, and 1 for anything else. */
  readonly #told = new Map<string, number>();
  #said = '';
  #last: { readonly artifactId: string; readonly isText: boolean } | undefined;

  event(event: TaskEvent): string {
    switch (event.type) {
      case 'task':
        return this.task(event.task);
      case 'artifact':
        if (!event.append) this.#told.delete(event.artifact.artifactId);
        return this.#tell(event.artifact, 0);
      case 'status':
        return '';
    }
  }

  task({ artifacts }: Task): string {
    return artifacts.map((artifact) => this.#tell(artifact, this.#told.get(artifact.artifactId) ?? 0)).join('');
  }

  /** Something of its own at the end: what the agent asks. */
  closing(parts: readonly Part[]): string {
    return this.#tell({ artifactId: '', parts }, 0);
  }

  /** `known`: how much of the given parts has been told before. */
  #tell({ artifactId, parts }: Artifact, known: number): string {
    let text = '';
    let skip = known;
    for (const part of parts) {
      const size = 'text' in part ? part.text.length : 1;
      if (skip >= size) {
        skip -= size;
        continue;
      }
      const isText = 'text' in part;
      this.#told.set(artifactId, (this.#told.get(artifactId) ?? 0) + size - skip);
      if ('data' in part && isJsonOf(this.#said, part.data)) continue;
      const joins = this.#last === undefined || (isText && this.#last.isText && this.#last.artifactId === artifactId);
      const more = isText ? part.text.slice(skip) : markdown(part);
      if (isText) this.#said += more;
      text += (joins ? '' : '\n\n') + more;
      this.#last = { artifactId, isText };
      skip = 0;
    }
    return text;
  }
}

function markdown(part: Part): string {
  if ('text' in part) return part.text;
  if ('data' in part) return fenced(JSON.stringify(part.data, null, 2) ?? 'null');
  const { mediaType = 'application/octet-stream', filename = 'file' } = part;
  const label = filename.replace(/[[\]\\\r\n]/g, ' ');
  const url = 'url' in part ? encodeSpecial(part.url) : `data:${encodeSpecial(mediaType)};base64,${part.raw}`;
  return `${mediaType.startsWith('image/') ? '!' : ''}[${label}](${url})`;
}

/** A fence that is longer than any in the text. */
function fenced(json: string): string {
  const longest = Math.max(2, ...Array.from(json.matchAll(/`+/g), ([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}json\n${json}\n${fence}`;
}

/** What would end a link early. */
function encodeSpecial(url: string): string {
  return url.replace(
    /[\s()<>\\]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
  );
}
