import type { ConfigDocument } from '../extension/config-provider.ts';
import type { Plugin } from '../plugin/definition.ts';
import { fileKeyword, referenceKeyword } from '../plugin/reference.ts';
import { type AgentEdges, checkCycles } from './agent-cycles.ts';
import { assemble } from './assemble.ts';
import { deepFreeze, hashOf } from './canonical.ts';
import { warnComing } from './coming.ts';
import { configError } from './config-error.ts';
import { hashFiles, type NamedFile, namedFile } from './config-files.ts';
import { descend } from './descend.ts';
import type { Environment } from './environment.ts';
import { Findings, firstOf } from './findings.ts';
import { interpolate } from './interpolate.ts';
import type { ConfigIssue, ConfigPath } from './issue.ts';
import type { HectorConfig } from './language/hector.ts';
import { normalize } from './normalize.ts';
import { applyOverrides, type Override } from './overrides.ts';
import type { ConfigFormat } from './parse.ts';
import { languageOf } from './plugins.ts';
import { printableOf } from './printable.ts';
import { checkReference, checkStorage } from './references.ts';
import { Secrets } from './secrets.ts';
import { isSensitive } from './sensitive.ts';
import type { Snapshot } from './snapshot.ts';
import type { ConfigTree } from './tree.ts';
import { type CompiledSchema, compiledSchema, validate } from './validate.ts';
import { valueOrigin } from './value-origin.ts';

export type { Override } from './overrides.ts';

export interface LoadOptions {
  /** Registered before the document's own plugins. */
  readonly builtins: readonly Plugin[];
  readonly environment: Environment;
  /** Flags, and environment variables that stand for one: win over everything. */
  readonly overrides?: readonly Override[];
  /** The file that says where the document is. What it says of plugins, the server and the log wins over the document. */
  readonly local?: ConfigDocument;
  /** Of the document. */
  readonly format?: ConfigFormat;
}

/** From text to snapshot: limits, tree, references, schema, names. Throws one `ConfigError` with everything that is wrong. */
export async function loadSnapshot(document: ConfigDocument, options: LoadOptions): Promise<Snapshot> {
  const { source, revision } = document;
  const { environment, local, format } = options;
  const { tree, texts, issues } = assemble(document, { local, format });
  const secrets = new Set<string>();
  const files = new Map(environment.files);
  const failure = (found: readonly ConfigIssue[]) => configError(source, found, { texts, secrets, files });
  if (issues.length > 0) throw failure(firstOf(issues, (issue) => issue));

  const findings = new Findings(tree);
  applyOverrides(tree, options.overrides ?? [], secrets);
  await interpolate(tree, { environment, findings, secrets, files });
  const language = await languageOf(tree, { builtins: options.builtins, findings, compile: compiledSchema });
  if (!language) throw failure(findings.errors());
  const { registry, compiled } = language;

  normalize(tree, { registry, environment, findings, secrets });
  validate(tree, compiled, findings);
  const folderOf = (path: ConfigPath) => {
    const text = tree.writtenIn(path);
    return text ? text.folder : (document.folder ?? local?.folder);
  };
  const named = inspect(tree, compiled, { findings, secrets, folderOf });
  const optionFiles = await hashFiles(named, files);
  if (findings.failed) throw failure(findings.errors());

  return {
    config: deepFreeze(tree.root) as unknown as HectorConfig,
    hash: optionFiles.length === 0 ? hashOf(tree.root) : hashOf([tree.root, optionFiles]),
    source,
    revision,
    folder: document.folder,
    texts: new Map(texts.map((each) => [each.source, each.text])),
    files,
    optionFiles,
    printable: deepFreeze(printableOf(tree)),
    warnings: deepFreeze(findings.warnings()),
    secrets: new Secrets(secrets),
    registry,
    locate: (path) => tree.locate(path),
    originOf: (path) => valueOrigin(tree, path, source),
    folderOf,
    resolvedPath: (path) => tree.moved(path),
  };
}

interface InspectOptions {
  readonly findings: Findings;
  readonly secrets: Set<string>;
  folderOf(path: ConfigPath): string | undefined;
}

/**
 * What the schema says of a value beyond its form: that it is a name, that it is not acted on, that it is a secret, that it
 * is a file. Returns the files.
 */
function inspect(
  tree: ConfigTree,
  { schema }: CompiledSchema,
  { findings, secrets, folderOf }: InspectOptions,
): NamedFile[] {
  const edges: AgentEdges = [];
  const files: NamedFile[] = [];
  descend(schema, tree.root, (own, value, { path, container, key }) => {
    warnComing(own, path, findings);
    if (own[referenceKeyword] !== undefined) checkReference(own, value, path, tree, findings, edges);
    const file = own[fileKeyword] === undefined ? undefined : namedFile(own, value, [...path], { findings, folderOf });
    if (file) files.push(file);
    // A list that was one text: the secret is each of its items as much as the whole.
    if (Array.isArray(value) && tree.origin(container, key)?.reference !== undefined) {
      for (const item of value) if (typeof item === 'string') secrets.add(item);
    }
    if (typeof value === 'string' && isSensitive(path, own)) {
      tree.mark(container, key, { secret: true });
      // A short one is as likely to be a word, and would black that out of every log.
      if (value.length >= 8) secrets.add(value);
    }
  });
  checkCycles(edges, findings);
  checkStorage(tree, findings);
  return files;
}
