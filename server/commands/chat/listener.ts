import { jsonLine } from '../remote/text.ts';
import type { Listener } from './conversation.ts';
import type { SavedFiles } from './saved-files.ts';
import type { Screen } from './screen.ts';
import { Transcript } from './transcript.ts';

export interface ListenerOptions {
  readonly screen: Screen;
  readonly json: boolean;
  readonly files: SavedFiles | undefined;
}

/** Shows one answer: for people, or every event as a line of JSON. */
export function listen({ screen, json, files }: ListenerOptions): Listener {
  const cut = () => screen.note('· the connection was cut; taking it up again');
  if (json) return { event: (event) => screen.answer(`${jsonLine(event)}\n`), cut };
  const transcript = new Transcript({ screen, files });
  return { event: (event) => transcript.show(event), cut };
}
