import { type PointName, points } from '../extension/points.ts';
import { type ConfigMap, get, isMap, valueAt } from './tree.ts';

/** A place in the document that configures one instance of an extension. */
export interface InstancePlace {
  readonly point: PointName;
  readonly path: readonly (string | number)[];
  /** The options, the selector among them. */
  readonly options: ConfigMap;
  readonly selector: string;
}

const sections: readonly PointName[] = ['llm', 'agent', 'toolset', 'document_store', 'storage', 'secret'];

/** Every instance that the document configures and that is at least a map. */
export function* instancePlaces(root: ConfigMap): Generator<InstancePlace> {
  for (const point of sections) {
    const { section, selector } = points[point];
    const entries = get(root, section);
    if (!isMap(entries)) continue;
    const inSource = point === 'document_store';
    for (const [name, entry] of Object.entries(entries)) {
      const options = inSource ? get(entry, 'source') : entry;
      const path = inSource ? [section, name, 'source'] : [section, name];
      if (isMap(options)) yield { point, path, options, selector: inSource ? 'type' : selector };
    }
  }
  const config = get(root, points.config.section);
  if (isMap(config)) {
    const { section, selector } = points.config;
    yield { point: 'config', path: [section], options: config, selector };
  }
  const schemes = valueAt(root, ['server', 'auth', 'schemes']);
  if (!Array.isArray(schemes)) return;
  for (const [index, options] of schemes.entries()) {
    if (isMap(options))
      yield { point: 'auth', path: ['server', 'auth', 'schemes', index], options, selector: points.auth.selector };
  }
}
