import type { Part } from '../../core/a2a.ts';

/**
 * The media type of a part, if the agent does not take it. `modes` are the agent's `input_modes`: media types, perhaps with
 * wildcards. Any kind of text passes where one kind is taken: an agent that reads plain text reads markdown as well.
 */
export function refusedMediaType(part: Part, modes: readonly string[]): string | undefined {
  const type = mediaTypeOf(part);
  return modes.some((mode) => accepts(mode, type) || ('text' in part && isText(mode))) ? undefined : type;
}

/** Whether something is in both: media types, perhaps with wildcards. */
export function shareMediaType(some: readonly string[], others: readonly string[]): boolean {
  const known = others.map(plain);
  return some.map(plain).some((one) => known.some((other) => matches(one, other) || matches(other, one)));
}

/** Without parameters; `text` alone is how older documents say `text/plain`. */
function plain(mode: string): string {
  const type = mode.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return type === 'text' ? 'text/plain' : type;
}

function matches(mode: string, type: string): boolean {
  return mode === '*/*' || mode === '*' || mode === type || (mode.endsWith('/*') && type.startsWith(mode.slice(0, -1)));
}

function mediaTypeOf(part: Part): string {
  if (part.mediaType !== undefined) return part.mediaType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if ('text' in part) return 'text/plain';
  return 'data' in part ? 'application/json' : 'application/octet-stream';
}

function accepts(mode: string, type: string): boolean {
  const wanted = mode.toLowerCase();
  if (wanted === '*/*' || wanted === type) return true;
  if (isText(wanted)) return type.startsWith('text/');
  return wanted.endsWith('/*') && type.startsWith(wanted.slice(0, -1));
}

/** `text` alone is how older documents say `text/plain`. */
function isText(mode: string): boolean {
  return mode === 'text' || mode.startsWith('text/');
}
