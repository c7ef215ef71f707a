import type { Part } from '../../core/a2a.ts';
import type { FilePart, TextPart } from '../../core/message.ts';
import { ParameterError } from './error.ts';
import { type Fields, given, list, nonEmptyText, object, text } from './fields.ts';

/** One part of a message, and where in the request it is. */
export interface Content {
  readonly path: string;
  readonly part: Part;
}

/** What a user says: a string, or parts of text, images, files and sound. Text that is empty is left out. */
export function userContent(value: unknown, path: string): readonly Content[] {
  return partsOf(value, path).filter(({ part }) => !('text' in part) || part.text !== '');
}

/** What nobody but a user says is text. */
export function textContent(value: unknown, path: string): string {
  return partsOf(value, path)
    .map(({ part, path: at }) => {
      if ('text' in part) return part.text;
      throw new ParameterError(at, 'must be text: only messages of the user have files');
    })
    .join('');
}

/** The same, as models are given it. */
export function chatPart({ part }: Content): TextPart | FilePart {
  if ('text' in part) return { type: 'text', text: part.text };
  const { mediaType = 'application/octet-stream', filename } = part;
  const about = { type: 'file', mediaType, ...(filename !== undefined && { filename }) } as const;
  if ('url' in part) return { ...about, url: part.url };
  return { ...about, data: Buffer.from('raw' in part ? part.raw : '', 'base64') };
}

function partsOf(value: unknown, path: string): readonly Content[] {
  if (typeof value === 'string') return [{ path, part: { text: value } }];
  if (!Array.isArray(value)) {
    throw given(value)
      ? new ParameterError(path, 'must be a string or an array of parts', 'invalid_type')
      : new ParameterError(path, 'is missing', 'missing_required_parameter');
  }
  return list(value, path).map((each, at) => {
    const here = `${path}[${at}]`;
    return { path: here, part: partOf(object(each, here), here) };
  });
}

function partOf(fields: Fields, path: string): Part {
  const type = text(fields['type'], `${path}.type`);
  switch (type) {
    case 'text':
      return { text: text(fields['text'], `${path}.text`) };
    case 'refusal':
      return { text: text(fields['refusal'], `${path}.refusal`) };
    case 'image_url': {
      const { url } = object(fields['image_url'], `${path}.image_url`);
      return imagePart(nonEmptyText(url, `${path}.image_url.url`), `${path}.image_url.url`);
    }
    case 'input_audio':
      return audioPart(object(fields['input_audio'], `${path}.input_audio`), `${path}.input_audio`);
    case 'file':
      return filePart(object(fields['file'], `${path}.file`), `${path}.file`);
    default:
      throw new ParameterError(
        `${path}.type`,
        `must be text, image_url, input_audio or file, not ${JSON.stringify(type.slice(0, 40))}`,
      );
  }
}

const imageTypes: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  avif: 'image/avif',
  svg: 'image/svg+xml',
};

function imagePart(url: string, path: string): Part {
  if (isDataUrl(url)) return dataPart(url, path);
  if (!/^https?:/i.test(url) || !URL.canParse(url)) {
    throw new ParameterError(path, 'must be an http:, https: or data: URL');
  }
  const extension = /\.([a-z]+)$/i.exec(new URL(url).pathname)?.[1]?.toLowerCase() ?? '';
  return { url, mediaType: (Object.hasOwn(imageTypes, extension) && imageTypes[extension]) || 'image/*' };
}

const audioTypes: ReadonlyMap<string, string> = new Map([
  ['wav', 'audio/wav'],
  ['mp3', 'audio/mpeg'],
]);

function audioPart({ data, format }: Fields, path: string): Part {
  const mediaType = audioTypes.get(text(format, `${path}.format`));
  if (mediaType === undefined)
    throw new ParameterError(`${path}.format`, `must be ${[...audioTypes.keys()].join(' or ')}`);
  return { raw: base64(nonEmptyText(data, `${path}.data`), `${path}.data`), mediaType };
}

function filePart({ file_id, file_data, filename }: Fields, path: string): Part {
  if (given(file_id)) {
    throw new ParameterError(
      `${path}.file_id`,
      'cannot be used: no files are kept here; send file_data',
      'unsupported_parameter',
    );
  }
  const about = given(filename) ? { filename: text(filename, `${path}.filename`) } : {};
  const data = nonEmptyText(file_data, `${path}.file_data`);
  if (isDataUrl(data)) return { ...dataPart(data, `${path}.file_data`), ...about };
  return { raw: base64(data, `${path}.file_data`), mediaType: 'application/octet-stream', ...about };
}

function isDataUrl(url: string): boolean {
  return url.slice(0, 5).toLowerCase() === 'data:';
}

function dataPart(url: string, path: string): Part {
  const comma = url.indexOf(',');
  const [mediaType = '', ...attributes] = url.slice('data:'.length, Math.max(comma, 0)).toLowerCase().split(';');
  if (comma < 0 || attributes.at(-1) !== 'base64' || !/^[\w.+-]+\/[\w.+-]+$/.test(mediaType)) {
    throw new ParameterError(path, 'must be a data: URL with a media type and base64 data: data:image/png;base64,…');
  }
  return { raw: base64(url.slice(comma + 1), path), mediaType };
}

function base64(value: string, path: string): string {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) throw new ParameterError(path, 'is not base64');
  return value;
}
