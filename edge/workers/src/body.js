/**
 * A body on its way through a filter, part by part: what the filter sees of it, what it holds back, and what goes on.
 */

import { Next } from "./abi.js";

/** @type {Uint8Array} */
const EMPTY = new Uint8Array();

/** @param {readonly Uint8Array[]} parts */
export function join(parts) {
  const [first] = parts;
  if (first && parts.length === 1) return first;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Bytes that are put together; however many parts there are, they are one. */
class Pile {
  #bytes = EMPTY;
  size = 0;

  /** @param {Uint8Array} part is copied */
  add(part) {
    const size = this.size + part.length;
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.size));
      this.#bytes = larger;
    }
    this.#bytes.set(part, this.size);
    this.size = size;
  }

  /** All of it; the pile is empty then. @returns {Uint8Array} */
  take() {
    const all = this.#bytes.subarray(0, this.size);
    this.#bytes = EMPTY;
    this.size = 0;
    return all;
  }
}

export class Body {
  /** What a filter's host calls read and change while its callback runs. @type {Uint8Array} */
  view = EMPTY;
  /** What waits. */
  #held = new Pile();
  /** What may go on. @type {Uint8Array | undefined} */
  #ready;
  #showsAll = false;

  /** Bytes that wait. */
  get heldBytes() {
    return this.#held.size;
  }

  /**
   * Shows a part to the filter and does with it what the filter says. Before the next, what is ready has to be released.
   * @param {Uint8Array} part
   * @param {(size: number) => number} callback is told how much the filter can see
   * @returns {boolean} whether the body goes on
   */
  feed(part, callback) {
    if (this.#showsAll) {
      this.#held.add(part);
      part = this.#held.take();
    }
    this.view = part;
    const next = callback(part.length);
    const left = this.view;
    this.view = EMPTY;
    this.#showsAll = next === Next.StopAndBuffer;
    if (next === Next.Continue && this.#held.size === 0 && !this.#ready) this.#ready = left;
    else if (next !== Next.StopNoBuffer) this.#held.add(left);
    return next === Next.Continue;
  }

  /** Everything that came; it goes on. */
  release() {
    const parts = [this.#ready ?? EMPTY, this.#held.take()];
    this.#ready = undefined;
    return parts.filter((part) => part.length > 0);
  }

  /**
   * Puts bytes in place of a range of what the filter sees, as `proxy_set_buffer_bytes` does.
   * @param {number} start @param {number} size @param {Uint8Array} bytes
   */
  replace(start, size, bytes) {
    const from = Math.min(start, this.view.length);
    const to = Math.min(from + size, this.view.length);
    this.view = join([this.view.subarray(0, from), bytes, this.view.subarray(to)]);
  }
}
