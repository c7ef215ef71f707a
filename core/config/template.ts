/** A piece of a scalar: text, or a reference to what stands outside of the document. */
export type Segment =
  | { readonly type: 'text'; readonly text: string }
  /** `fallback` stands in for a variable that is unset or empty. */
  | { readonly type: 'variable'; readonly name: string; readonly fallback?: string }
  | { readonly type: 'file'; readonly path: string }
  /** What a secret store has: `vault:llm#key`. */
  | { readonly type: 'stored'; readonly name: string }
  | { readonly type: 'mistake'; readonly message: string };

/** A dollar that starts something: `$$` or `${`. */
const special = /\$\$|\$\{([^}]*)(\}?)/g;

/**
 * `${VAR}`, `${VAR:-default}`, `${VAR:default}`, `${env:VAR}`, `${file:path}`, `${store:reference}`; `$$` is a dollar. Any
 * other dollar is itself, a bare `$name` included. What stands before a single colon in lower case is a store.
 */
export function parseTemplate(text: string): Segment[] {
  const segments: Segment[] = [];
  let literal = '';
  let at = 0;
  for (const match of text.matchAll(special)) {
    literal += text.slice(at, match.index);
    at = match.index + match[0].length;
    if (match[0] === '$$') {
      literal += '$';
      continue;
    }
    if (literal !== '') segments.push({ type: 'text', text: literal });
    literal = '';
    segments.push(match[2] === '' ? unclosed(match[0]) : reference(match[1] as string, match[0]));
  }
  literal += text.slice(at);
  if (literal !== '' || segments.length === 0) segments.push({ type: 'text', text: literal });
  return segments;
}

const unclosed = (text: string): Segment => ({
  type: 'mistake',
  message: `"${shortened(text)}" has no closing brace. Close it, or write $\${ for the characters themselves`,
});

function reference(body: string, written: string): Segment {
  if (body.startsWith('file:')) {
    const path = body.slice('file:'.length).trim();
    return path === '' ? { type: 'mistake', message: `"${written}" names no file` } : { type: 'file', path };
  }
  const [, store, stored = ''] = /^(?!env:)([a-z][a-z0-9-]*):(?![-?+=])(.*)$/s.exec(body) ?? [];
  if (store !== undefined) {
    if (stored.trim() === '') return { type: 'mistake', message: `"${written}" names no secret` };
    if (!stored.includes('${')) return { type: 'stored', name: `${store}:${stored.trim()}` };
  }
  const match = /^(?:env:(?=[A-Za-z_]))?([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:)(.*))?$/s.exec(body);
  const [, name, operator, fallback = ''] = match ?? [];
  if (name === undefined) {
    const message = `"${shortened(written)}" is not a reference: write \${VAR}, \${VAR:-default}, \${file:path} or \${store:reference}, or $\${ for the characters themselves`;
    return { type: 'mistake', message };
  }
  if (fallback.includes('${')) {
    return {
      type: 'mistake',
      message: `the default in "${shortened(written)}" holds a reference; a default is plain text`,
    };
  }
  if (operator === ':' && /^[?+=]/.test(fallback)) {
    return { type: 'mistake', message: `"${written}" is the shell's; here it is \${${name}} or \${${name}:-default}` };
  }
  return operator === undefined ? { type: 'variable', name } : { type: 'variable', name, fallback };
}

const shortened = (text: string) => (text.length <= 40 ? text : `${text.slice(0, 40)}…`);

/** A text that `parseTemplate` reads as `literal`. */
export function escaped(literal: string): string {
  return literal.replace(/\$(?=[${])/g, '$$$$');
}
