/**
 * Protocol Buffers, as far as etcd's messages go: 64-bit integers (read as bigint, since revisions and leases do not fit a
 * number), booleans, enumerations, bytes, strings and messages. Unknown fields are passed over, as the format asks.
 */
type Scalar = 'bytes' | 'string' | 'int64' | 'bool' | 'enum';

export interface Field<T extends Scalar | Message = Scalar | Message, R extends boolean = boolean> {
  readonly number: number;
  readonly type: T;
  readonly repeated: R;
}

type Fields = Readonly<Record<string, Field>>;

export interface Message<F extends Fields = Fields> {
  readonly fields: F;
}

type Value<T> = T extends 'bytes'
  ? Buffer
  : T extends 'string'
    ? string
    : T extends 'int64'
      ? bigint
      : T extends 'bool'
        ? boolean
        : T extends 'enum'
          ? number
          : T extends Message
            ? Decoded<T>
            : never;

/** What is absent on the wire is the zero of its type; a message is `undefined`. */
export type Decoded<M extends Message> = {
  readonly [K in keyof M['fields']]: M['fields'][K] extends Field<infer T, infer R>
    ? R extends true
      ? readonly Value<T>[]
      : T extends Scalar
        ? Value<T>
        : Value<T> | undefined
    : never;
};

/** Every property that is there is written, zeros too: within a `oneof` they have a meaning. */
export type Encodable<M extends Message> = {
  readonly [K in keyof M['fields']]?: M['fields'][K] extends Field<infer T, infer R>
    ? R extends true
      ? readonly Input<T>[]
      : Input<T>
    : never;
};

type Input<T> = T extends Message ? Encodable<T> : Value<T>;

export const message = <const F extends Fields>(fields: F): Message<F> => ({ fields });

export const one = <const T extends Scalar | Message>(number: number, type: T): Field<T, false> => ({
  number,
  type,
  repeated: false,
});

export const many = <const T extends Scalar | Message>(number: number, type: T): Field<T, true> => ({
  number,
  type,
  repeated: true,
});

const varintType = 0;
const bytesType = 2;
/** Of the wire types that only unknown fields have. */
const fixedSizes: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

export function encode<M extends Message>({ fields }: M, value: Encodable<M>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, content] of Object.entries(value as Record<string, unknown>)) {
    const field = fields[name];
    if (!field || content === undefined) continue;
    for (const each of field.repeated ? (content as readonly unknown[]) : [content]) writeField(parts, field, each);
  }
  return Buffer.concat(parts);
}

function writeField(parts: Buffer[], { number, type }: Field, value: unknown): void {
  if (type === 'int64' || type === 'bool' || type === 'enum') {
    parts.push(varint(BigInt((number << 3) | varintType)), varint(BigInt(value as bigint | boolean | number)));
    return;
  }
  const content =
    type === 'string'
      ? Buffer.from(value as string)
      : type === 'bytes'
        ? (value as Buffer)
        : encode(type, value as Encodable<Message>);
  parts.push(varint(BigInt((number << 3) | bytesType)), varint(BigInt(content.length)), content);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

export function decode<M extends Message>({ fields }: M, bytes: Buffer): Decoded<M> {
  const result: Record<string, unknown> = {};
  const byNumber = new Map<number, readonly [name: string, field: Field]>();
  for (const [name, field] of Object.entries(fields)) {
    byNumber.set(field.number, [name, field]);
    result[name] = field.repeated ? [] : zero(field.type);
  }
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = Number(reader.varint());
    const wireType = tag & 7;
    const [name, field] = byNumber.get(tag >>> 3) ?? [];
    const raw =
      wireType === varintType
        ? reader.varint()
        : wireType === bytesType
          ? reader.take(Number(reader.varint()))
          : reader.take(fixedSizes[wireType] ?? malformed());
    if (name === undefined || !field) continue;
    const value = fieldValue(field.type, raw);
    if (field.repeated) (result[name] as unknown[]).push(value);
    else result[name] = value;
  }
  return result as Decoded<M>;
}

function zero(type: Scalar | Message): unknown {
  if (type === 'int64') return 0n;
  if (type === 'enum') return 0;
  if (type === 'bool') return false;
  if (type === 'string') return '';
  return type === 'bytes' ? Buffer.alloc(0) : undefined;
}

function fieldValue(type: Scalar | Message, raw: bigint | Buffer): unknown {
  if (typeof raw === 'bigint') {
    if (type === 'int64') return BigInt.asIntN(64, raw);
    if (type === 'enum') return Number(raw);
    return type === 'bool' ? raw !== 0n : malformed();
  }
  if (type === 'bytes') return raw;
  if (type === 'string') return raw.toString();
  return typeof type === 'string' ? malformed() : decode(type, raw);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    return malformed();
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) malformed();
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }
}

function malformed(): never {
  throw new Error('The answer is not a message of etcd.');
}
