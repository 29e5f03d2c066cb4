/**
 * What the VMs of one isolate share: values by name with compare-and-swap, and queues.
 */

import { Status } from "./abi.js";

/** Messages that wait in one queue at most; the oldest go first. */
const MOST_WAITING = 1_024;

export class SharedData {
  /** @type {Map<string, { value: Uint8Array, cas: number }>} */
  #values = new Map();
  #lastCas = 0;

  /** @param {string} name */
  get(name) {
    return this.#values.get(name);
  }

  /** @param {string} name */
  value(name) {
    return this.#values.get(name)?.value;
  }

  /**
   * @param {string} name
   * @param {Uint8Array} value is kept, so it must not be changed
   * @param {number} cas 0, or the number that the value must have
   */
  set(name, value, cas = 0) {
    if (cas !== 0 && this.#values.get(name)?.cas !== cas) return Status.CasMismatch;
    // Never 0, which means "any".
    this.#lastCas = (this.#lastCas % 0xffff_ffff) + 1;
    this.#values.set(name, { value, cas: this.#lastCas });
    return Status.Ok;
  }

  /** Every name with its value. */
  *entries() {
    for (const [name, { value }] of this.#values) yield /** @type {const} */ ([name, value]);
  }
}

export class Queues {
  /** @type {{ vm: string, name: string, messages: Uint8Array[] }[]} */
  #queues = [];

  /** @param {string} vm @param {string} name @returns {number} the queue's number, never 0 */
  register(vm, name) {
    return this.resolve(vm, name) || this.#queues.push({ vm, name, messages: [] });
  }

  /** @param {string} vm @param {string} name @returns {number} 0 where there is none */
  resolve(vm, name) {
    return this.#queues.findIndex((queue) => queue.vm === vm && queue.name === name) + 1;
  }

  /** @param {number} number @param {Uint8Array} message @returns {boolean} whether there is such a queue */
  enqueue(number, message) {
    const queue = this.#queues[number - 1];
    if (queue && queue.messages.push(message) > MOST_WAITING) queue.messages.shift();
    return queue !== undefined;
  }

  /** @param {number} number @returns {Uint8Array | null | undefined} `null` if it is empty, `undefined` if there is none */
  dequeue(number) {
    const queue = this.#queues[number - 1];
    return queue && (queue.messages.shift() ?? null);
  }
}
