import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type as TypeBox } from 'typebox';
import { Type } from '../../../core/plugin/type.ts';

type Builders = typeof Type;

/** The same schema by either builder. */
const schemas: readonly ((type: Builders) => unknown)[] = [
  (type) => type.Any(),
  (type) => type.Unknown({ description: 'd' }),
  (type) => type.Null(),
  (type) => type.Unsafe({ type: 'object', minProperties: 1 }),
  (type) => type.Boolean({ default: true }),
  (type) => type.Integer({ minimum: 1 }),
  (type) => type.Number(),
  (type) => type.String({ pattern: '^a$' }),
  (type) => type.Literal('x'),
  (type) => type.Literal(3),
  (type) => type.Literal(true),
  (type) => type.Enum(['a', 'b'], { default: 'a' }),
  (type) => type.Union([type.String(), type.Null()], { description: 'd' }),
  (type) => type.Array(type.Integer(), { uniqueItems: true }),
  (type) => type.Record(type.String(), type.Integer(), { description: 'd' }),
  (type) => type.Object({}),
  (type) => type.Object({ a: type.Optional(type.String()) }),
  (type) =>
    type.Object(
      { a: type.Optional(type.Object({ b: type.Integer() })), c: type.Boolean() },
      { additionalProperties: false },
    ),
];

for (const make of schemas) {
  test(`${String(make).replaceAll(/\s+/g, ' ')} is what TypeBox makes of it`, () => {
    assert.deepEqual(
      JSON.parse(JSON.stringify(make(Type))),
      JSON.parse(JSON.stringify(make(TypeBox as unknown as Builders))),
    );
  });
}

test('the two can be mixed', () => {
  const ours = Type.Object({ a: TypeBox.Optional(TypeBox.String()), b: TypeBox.Integer() });
  const theirs = TypeBox.Object({ a: Type.Optional(Type.String()), b: Type.Integer() });
  assert.deepEqual(JSON.stringify(ours), JSON.stringify(theirs));
  assert.equal(TypeBox.IsObject(ours), true);
  assert.equal(TypeBox.IsOptional(Type.Optional(Type.String())), true);
});
