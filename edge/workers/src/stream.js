/**
 * One request and its response, as the filter's host calls find them.
 */

import { Body } from "./body.js";
import { requestHead } from "./headers.js";

/** @typedef {import("./headers.js").Head} Head */

/**
 * An answer in the origin's place.
 * @typedef {{ status: number, headers: [string, string][], body: Uint8Array }} Reply
 */

/**
 * What is known of a request besides what it says itself.
 * @typedef {{ address?: string | undefined, given?: Record<string, string> | undefined, task?: import("./vm.js").Task }} Connection
 */

/** Whether one direction of a stream waits for the filter. */
export class Gate {
  isShut = false;
  /** @type {(() => void) | undefined} */
  #open;

  open() {
    this.isShut = false;
    this.#open?.();
    this.#open = undefined;
  }

  /**
   * Waits for something, until the gate opens or so many milliseconds have passed: whoever opens it may serve another request, whose
   * promises do not reach this one in every runtime.
   * @template T
   * @param {Promise<T> | undefined} awaited
   * @param {number} milliseconds
   * @returns {Promise<T | undefined>} `undefined` if it has not come yet
   */
  async race(awaited, milliseconds) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const patience = new Promise((resolve) => {
      this.#open = () => resolve(undefined);
      timer = setTimeout(resolve, milliseconds);
    });
    try {
      return /** @type {T | undefined} */ (await (awaited ? Promise.race([awaited, patience]) : patience));
    } finally {
      if (timer !== undefined) clearTimeout(timer);
    }
  }
}

export class Stream {
  id;
  request;
  /** @type {Head | undefined} */
  response;
  /** What the filter answered in the origin's place. @type {Reply | undefined} */
  reply;
  /** The status that the client gets; 0 until it is known. */
  status = 0;
  /** The filter asked to end it without an answer. */
  isClosed = false;
  /** What the filter set. @type {Map<string, Uint8Array>} */
  properties = new Map();
  #bodies = [new Body(), new Body()];
  #gates = [new Gate(), new Gate()];
  startedAt = Date.now();
  /** What Cloudflare knows of the connection. @type {Record<string, any> | undefined} */
  cf;

  /**
   * @param {number} id the number of its context
   * @param {Request} request
   * @param {Connection} connection
   */
  constructor(id, request, { address, given, task }) {
    this.id = id;
    this.request = requestHead(request);
    this.address = address;
    this.given = given;
    this.task = task;
    this.cf = /** @type {any} */ (request).cf;
  }

  /** Whether the filter answered or ended it, so that the origin has no more to do with it. */
  get isOver() {
    return this.reply !== undefined || this.isClosed;
  }

  /** @param {number} direction */
  body(direction) {
    return /** @type {Body} */ (this.#bodies[direction]);
  }

  /** @param {number} direction */
  gate(direction) {
    return /** @type {Gate} */ (this.#gates[direction]);
  }

  /** Lets a direction go on or wait, as the filter says. Whoever answered waits for nothing. @param {number} direction @param {boolean} goesOn */
  settle(direction, goesOn) {
    const gate = this.gate(direction);
    if (goesOn || this.isOver) gate.open();
    else gate.isShut = true;
  }

  /** Lets both directions go on. */
  openGates() {
    for (const gate of this.#gates) gate.open();
  }
}
