import { definePlugin, type Plugin, secretStore, Type } from '../../core/index.ts';

/** A secret store of a test's own: what it has, what it was asked, and how it fails. */
export interface ScriptedStore {
  readonly plugin: Plugin;
  readonly values: Map<string, string | Error | 'hangs'>;
  readonly asked: string[];
  readonly created: Readonly<Record<string, unknown>>[];
  open: number;
}

export function scriptedStore(values: Readonly<Record<string, string | Error>> = {}): ScriptedStore {
  const script: Omit<ScriptedStore, 'plugin'> = {
    values: new Map(Object.entries(values)),
    asked: [],
    created: [],
    open: 0,
  };
  const store = secretStore({
    name: 'scripted',
    description: 'Says what a test wants',
    options: Type.Object({
      pin: Type.Optional(Type.String({ writeOnly: true })),
      level: Type.Integer({ default: 3 }),
    }),
    environment: { pin: ['SCRIPTED_PIN'] },
    create: (options, context) => {
      script.created.push({ ...options });
      script.open++;
      if (options.level === 13) context.warn('level: 13 brings bad luck');
      if (options.level === 14) throw new Error(`the pin ${options.pin} does not open it`);
      return {
        async resolve(reference) {
          script.asked.push(reference);
          const value = script.values.get(reference);
          if (value === 'hangs') return new Promise<string>(() => undefined);
          if (value instanceof Error) throw value;
          if (value === undefined) throw new Error('there is no such secret.');
          return value;
        },
        async [Symbol.asyncDispose]() {
          script.open--;
        },
      };
    },
  });
  return Object.assign(script, { plugin: definePlugin({ apiVersion: 1, name: 'scripted', provides: [store] }) });
}
