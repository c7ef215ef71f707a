import { isDeepStrictEqual } from 'node:util';
import { assemble } from '../../core/config/assemble.ts';
import { ConfigError } from '../../core/config/issue.ts';
import type { ConfigContent, ConfigDocument } from '../../core/extension/config-provider.ts';
import { HttpError } from '../http-error.ts';

/** What is not changed over HTTP, and why. What tools name (modules, files) is: who may save can run code of this machine. */
const fixed: Readonly<Record<string, string>> = {
  server: 'it says who may come in, and where',
  plugins: 'it says whose code runs as a part of Hector',
  secrets: 'it says where secrets are, and what opens them',
  config: 'it says where the configuration is',
};

/**
 * Throws a 403 where those sections are not as the source has them now; saying nothing and having nothing in it are the
 * same. They are compared as they are written, and before anything is loaded that the new content asks for. Throws a
 * ConfigError where the new content cannot be read.
 */
export function refuseFixedChanges(current: ConfigDocument, content: ConfigContent): void {
  const after = sectionsOf({ ...current, ...withoutContent, ...content });
  if ('issues' in after) throw new ConfigError(current.source, after.issues);
  const before = current.missing ? { sections: {} } : sectionsOf(current);
  if ('issues' in before)
    throw new HttpError(
      409,
      'source_broken',
      `What ${current.source} has now cannot be read, so nobody knows what it says of ${Object.keys(fixed).join(', ')}. Mend it where it is, or go back with \`hector config rollback\`.`,
    );
  for (const [section, reason] of Object.entries(fixed)) {
    if (isDeepStrictEqual(before.sections[section], after.sections[section])) continue;
    throw new HttpError(
      403,
      'section_fixed',
      `"${section}" is not changed over HTTP, for ${reason}. Send it as GET /api/config shows it, or change it at ${current.source}.`,
    );
  }
}

const withoutContent = { text: '', entries: undefined };

type Document = Omit<ConfigDocument, 'entries'> & { readonly entries?: ConfigContent['entries'] | undefined };
type Sections = Readonly<Record<string, unknown>>;

function sectionsOf(document: Document): { readonly sections: Sections } | Pick<ReturnType<typeof assemble>, 'issues'> {
  const { entries, ...rest } = document;
  // The folder only keeps `config` from being taken out, as it is of a remote document.
  const { tree, issues } = assemble({ ...rest, folder: '/', ...(entries && { entries: relevant(entries) }) });
  if (issues.length > 0) return { issues };
  const sections = Object.keys(fixed).map((name) => [name, somethingIn(tree.root[name])]);
  return { sections: Object.fromEntries(sections) as Sections };
}

/** An entry can say something of its own section only, and the one without a path of any. */
function relevant(entries: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...entries].filter(([path]) => path === '' || Object.hasOwn(fixed, path.split('/', 1)[0] as string)));
}

function somethingIn(value: unknown): unknown {
  const empty = value === null || (typeof value === 'object' && Object.keys(value).length === 0);
  return empty ? undefined : value;
}
