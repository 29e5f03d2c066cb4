/**
 * A body on its way through a filter, part by part: what the filter sees of it, what it holds back, and what goes on.
 */

import { Next } from "./abi.js";

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

export class Body {
  /** What a filter's host calls read and change while its callback runs. @type {Uint8Array} */
  view = EMPTY;
  /** Parts that wait. @type {Uint8Array[]} */
  #held = [];
  #heldBytes = 0;
  #showsAll = false;

  /** Bytes that wait. */
  get heldBytes() {
    return this.#heldBytes;
  }

  /**
   * Shows a part to the filter and does with it what the filter says.
   * @param {Uint8Array} part
   * @param {(size: number) => number} callback is told how much the filter can see
   * @returns {boolean} whether the body goes on
   */
  feed(part, callback) {
    if (this.#showsAll) {
      this.#held.push(part);
      part = join(this.#held);
      this.#clear();
    }
    this.view = part;
    const next = callback(part.length);
    const left = this.view;
    this.view = EMPTY;
    this.#showsAll = next === Next.StopAndBuffer;
    if (next !== Next.StopNoBuffer) this.#hold(left);
    return next === Next.Continue;
  }

  /** Keeps a part that the filter was not shown. @param {Uint8Array} part */
  keep(part) {
    this.#hold(part);
  }

  /** Everything that waits; it goes on. */
  release() {
    const held = this.#held;
    this.#clear();
    return held;
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

  /** @param {Uint8Array} part */
  #hold(part) {
    if (part.length === 0) return;
    this.#held.push(part);
    this.#heldBytes += part.length;
  }

  #clear() {
    this.#held = [];
    this.#heldBytes = 0;
  }
}
