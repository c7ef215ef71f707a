import { definePlugin, duration, filePath, type Static, secretStore, Type } from '../../core/index.ts';

const VaultOptions = Type.Object({
  address: Type.String({ pattern: '^https?://', description: 'Of the server: https://vault.example:8200' }),
  token: Type.Optional(Type.String({ minLength: 1, writeOnly: true, description: 'What Hector logs in with' })),
  token_file: Type.Optional(
    filePath('A file with that token, as Vault Agent keeps one up to date; read for each load; wins over `token`'),
  ),
  namespace: Type.Optional(Type.String({ minLength: 1, description: 'Of Vault Enterprise or OpenBao' })),
  mount: Type.String({ minLength: 1, default: 'secret', description: 'Where the KV engine, version 2, is mounted' }),
  timeout: duration('5s', 'How long one answer may take; at most 10s'),
});
export type VaultOptions = Static<typeof VaultOptions>;

const vault = secretStore({
  name: 'vault',
  description: 'HashiCorp Vault or OpenBao, KV version 2: `${name:path#field}`',
  options: VaultOptions,
  environment: { address: ['VAULT_ADDR'], token: ['VAULT_TOKEN'], namespace: ['VAULT_NAMESPACE'] },
  create: async (options, context) => (await import('./vault-store.ts')).vaultStore(options, context),
});

export default definePlugin({ apiVersion: 1, name: 'hector/secrets-vault', provides: [vault] });
