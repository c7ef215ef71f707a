import { Ajv } from 'ajv';
import { Type } from 'typebox';
import { fixedSections, type HectorConfig } from '../../core/config/language/hector.ts';

const completes = new Ajv({ useDefaults: true, strict: false }).compile(
  Type.Object({ storage: fixedSections.storage }),
);

/** What the configuration language says of storage where a document says nothing. */
export function storageDefaults(): HectorConfig['storage'] {
  const config = {};
  if (!completes(config)) throw new Error(JSON.stringify(completes.errors));
  return (config as HectorConfig).storage;
}
