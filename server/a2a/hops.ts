import type { IncomingHttpHeaders } from 'node:http';

/**
 * Through how many agents a message came, as the Hector before says in `X-Hector-Agent-Depth`. Where several say it the
 * highest counts; what is no number says nothing, like a header that was left out.
 */
export function hopsIn(headers: IncomingHttpHeaders): number {
  const said = [headers['x-hector-agent-depth'] ?? []].flat().flatMap((value) => value.split(','));
  return Math.max(
    0,
    ...said.map((value) => value.trim()).map((value) => (/^\d{1,9}$/.test(value) ? Number(value) : 0)),
  );
}
