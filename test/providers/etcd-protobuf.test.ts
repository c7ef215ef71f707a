import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode, many, message, one } from '../../providers/etcd-protobuf.ts';

const inner = message({ key: one(1, 'bytes'), revision: one(3, 'int64') });
const outer = message({
  inner: one(1, inner),
  many: many(2, inner),
  text: one(3, 'string'),
  yes: one(4, 'bool'),
  kind: one(5, 'enum'),
  number: one(64, 'int64'),
});

test('what is written is read', () => {
  const value = {
    inner: { key: Buffer.from('k'), revision: 1n },
    many: [
      { key: Buffer.from('a'), revision: 9_007_199_254_740_993n },
      { key: Buffer.alloc(0), revision: -1n },
    ],
    text: 'naïve 漢字 🦉',
    yes: true,
    kind: 4,
    number: -(2n ** 63n),
  };
  assert.deepEqual(decode(outer, encode(outer, value)), value);
});

test('the bytes are those of Protocol Buffers', () => {
  assert.equal(encode(outer, { kind: 150 }).toString('hex'), '289601');
  assert.equal(encode(outer, { text: 'testing' }).toString('hex'), '1a0774657374696e67');
  assert.equal(encode(outer, { number: 1n }).toString('hex'), '800401');
  assert.equal(encode(outer, { number: 0n }).toString('hex'), '800400', 'a zero of a oneof is written');
});

test('what is absent is the zero of its type', () => {
  assert.deepEqual(decode(outer, Buffer.alloc(0)), {
    inner: undefined,
    many: [],
    text: '',
    yes: false,
    kind: 0,
    number: 0n,
  });
});

test('fields of newer servers are passed over, whatever their type', () => {
  const unknown = ['980101', 'a1010000000000000000', 'aa010378797a', 'b50100000000'].join('');
  assert.equal(decode(outer, Buffer.from(`${unknown}1a0161${unknown}`, 'hex')).text, 'a');
});

test('what is cut off or of another type is refused', () => {
  const whole = encode(outer, { text: 'text', number: 300n, many: [{ key: Buffer.from('key') }] });
  // Between two fields it is a whole message.
  const borders = new Set([0, 6, 10, 17]);
  for (let length = 0; length < whole.length; length++) {
    if (borders.has(length)) continue;
    assert.throws(() => decode(outer, whole.subarray(0, length)), /not a message of etcd/, `${length} bytes`);
  }
  for (const bytes of ['0801', '2201', '1b', '80808080808080808080808001'])
    assert.throws(() => decode(outer, Buffer.from(bytes, 'hex')), /not a message of etcd/, bytes);
});
