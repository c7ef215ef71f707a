/** A body, as far as it was read. */
export interface Body {
  readonly bytes: Uint8Array;
  /** There was more. */
  readonly cut: boolean;
}

/** Stops at `limit` and lets go of the rest. */
export async function readBody({ body }: Response, limit: number): Promise<Body> {
  if (!body) return { bytes: new Uint8Array(), cut: false };
  const chunks: Uint8Array[] = [];
  let left = limit;
  // Leaving the loop early cancels the body.
  for await (const chunk of body as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>) {
    chunks.push(chunk.subarray(0, left));
    left -= chunk.length;
    if (left < 0) break;
  }
  return { bytes: Buffer.concat(chunks), cut: left < 0 };
}

export function mediaType({ headers }: Response): string {
  return (headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** Whether it is for reading, as it says itself, or, where it says nothing, as it looks. */
export function isText(type: string, { bytes }: Body): boolean {
  if (type === '' || type === 'application/octet-stream') return !bytes.subarray(0, 1_024).includes(0);
  return /^text\/|[/+](json|xml|yaml|x-ndjson|jsonl|javascript|x-javascript|graphql|x-www-form-urlencoded|toml)$/.test(
    type,
  );
}

export function decoded(response: Response, { bytes }: Body): string {
  const said = /charset\s*=\s*"?([\w.:-]+)/i.exec(response.headers.get('content-type') ?? '')?.[1];
  const head = Buffer.from(bytes.subarray(0, 1_024)).toString('latin1');
  const charset = said ?? /<meta\b[^>]{0,200}\bcharset\s*=\s*["']?([\w.:-]+)/i.exec(head)?.[1] ?? 'utf-8';
  return decoderOf(charset).decode(bytes);
}

function decoderOf(charset: string): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder();
  }
}

/** At most `limit` characters, and a note where that is not all. */
export function shortened(text: string, limit: number, cut: boolean): string {
  if (text.length <= limit) return cut ? `${text}\n\n[Cut off: the answer is longer than what is read of one.]` : text;
  const end = /[\ud800-\udbff]/.test(text[limit - 1] ?? '') ? limit - 1 : limit;
  return `${text.slice(0, end)}\n\n[Cut off after ${end} characters.]`;
}
