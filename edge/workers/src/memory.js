/**
 * The memory of a module: strings and header maps in, bytes out.
 */

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** @typedef {readonly (readonly [string, string])[]} Pairs Headers in order: names and values. */

/**
 * Numbers of wasm are signed in JavaScript; pointers and sizes are not. A module that asks for "everything" passes the largest, which
 * arrives as -1.
 * @param {number} value
 */
export const unsigned = (value) => value >>> 0;

/** Where header maps are written before they are copied into a module: their size is known only then. */
let scratch = new Uint8Array(16 * 1024);

export class Memory {
  #memory;
  #allocate;
  #bytes;
  #view;

  /**
   * @param {WebAssembly.Memory} memory
   * @param {(size: number) => number} allocate the module's `proxy_on_memory_allocate`
   */
  constructor(memory, allocate) {
    this.#memory = memory;
    this.#allocate = allocate;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
  }

  /** All of it, as it is now: growing detaches what was taken before. */
  get bytes() {
    if (this.#bytes.buffer !== this.#memory.buffer) this.#retake();
    return this.#bytes;
  }

  get #now() {
    if (this.#view.buffer !== this.#memory.buffer) this.#retake();
    return this.#view;
  }

  #retake() {
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }

  /** @param {number} at @param {number} size */
  text(at, size) {
    return decoder.decode(this.slice(at, size));
  }

  /**
   * A view that holds until the module runs again. Throws a `RangeError` for what is not in memory.
   * @param {number} at @param {number} size
   */
  slice(at, size) {
    return new Uint8Array(this.#memory.buffer, unsigned(at), unsigned(size));
  }

  /** @param {number} at @param {number} size */
  copy(at, size) {
    return this.slice(at, size).slice();
  }

  /** @param {number} at */
  u32(at) {
    return this.#now.getUint32(unsigned(at), true);
  }

  /** @param {number} at @param {number} value */
  setU32(at, value) {
    this.#now.setUint32(unsigned(at), value, true);
  }

  /** @param {number} at @param {bigint} value */
  setU64(at, value) {
    this.#now.setBigUint64(unsigned(at), value, true);
  }

  /**
   * Hands bytes to the module in memory that it allocates, and tells it where.
   * @param {Uint8Array} bytes
   * @param {number} at where the address goes
   * @param {number} sizeAt where the size goes
   */
  give(bytes, at, sizeAt) {
    let address = 0;
    if (bytes.length > 0) {
      address = unsigned(this.#allocate(bytes.length));
      if (address === 0) throw new Error("the module has no memory left");
      this.bytes.set(bytes, address);
    }
    this.setU32(at, address);
    this.setU32(sizeAt, bytes.length);
  }

  /**
   * A serialised header map: a count, two lengths for each header, then names and values, each ended by a zero byte.
   * @param {number} at @param {number} size
   * @returns {[string, string][]} what is cut short is left out
   */
  pairs(at, size) {
    const map = this.slice(at, size);
    if (map.length < 4) return [];
    const view = new DataView(map.buffer, map.byteOffset, map.length);
    const count = view.getUint32(0, true);
    let next = 4 + count * 8;
    /** @type {[string, string][]} */
    const pairs = [];
    for (let index = 0; index < count && next <= map.length; index++) {
      const name = view.getUint32(4 + index * 8, true);
      const value = view.getUint32(8 + index * 8, true);
      if (next + name + value + 2 > map.length) break;
      pairs.push([
        decoder.decode(map.subarray(next, next + name)),
        decoder.decode(map.subarray(next + name + 1, next + name + 1 + value)),
      ]);
      next += name + value + 2;
    }
    return pairs;
  }
}

/**
 * Headers as a serialised map. The bytes hold until the next call.
 * @param {Pairs} pairs
 */
export function serialize(pairs) {
  let most = 4 + pairs.length * 10;
  for (const [name, value] of pairs) most += (name.length + value.length) * 3;
  if (scratch.length < most) scratch = new Uint8Array(most * 2);
  const view = new DataView(scratch.buffer);
  view.setUint32(0, pairs.length, true);
  let lengths = 4;
  let next = 4 + pairs.length * 8;
  for (const pair of pairs) {
    for (const text of pair) {
      const written = write(text, next);
      view.setUint32(lengths, written, true);
      lengths += 4;
      next += written;
      scratch[next++] = 0;
    }
  }
  return scratch.subarray(0, next);
}

/**
 * Short ASCII, as most headers are, is faster written byte by byte than by the encoder.
 * @param {string} text @param {number} at
 */
function write(text, at) {
  if (text.length > 48) return encoder.encodeInto(text, scratch.subarray(at)).written;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 127) return encoder.encodeInto(text, scratch.subarray(at)).written;
    scratch[at + index] = unit;
  }
  return text.length;
}

/** @param {string} text */
export const encode = (text) => encoder.encode(text);
/** @param {Uint8Array} bytes */
export const decode = (bytes) => decoder.decode(bytes);
