/**
 * A body as it comes in: read into one buffer again and again, so that a stream without end leaves nothing to collect.
 */

/** Bytes of the buffer. */
const SIZE = 64 * 1024;

/** @typedef {{ done: boolean, value?: Uint8Array | undefined }} Part */

export class Source {
  /** @type {ReadableStreamBYOBReader | undefined} */
  #filler;
  /** Of streams of JavaScript's own, which bring their own buffers. @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  #reader;
  /** @type {ArrayBufferLike | undefined} */
  #buffer;

  /** @param {ReadableStream<Uint8Array>} stream */
  constructor(stream) {
    try {
      this.#filler = stream.getReader({ mode: "byob" });
    } catch {
      this.#reader = stream.getReader();
    }
  }

  /** @returns {Promise<Part>} */
  async read() {
    if (this.#reader) return this.#reader.read();
    const buffer = this.#buffer ?? new ArrayBuffer(SIZE);
    this.#buffer = undefined;
    return /** @type {ReadableStreamBYOBReader} */ (this.#filler).read(new Uint8Array(/** @type {ArrayBuffer} */ (buffer)));
  }

  /** Takes back the buffer of a part that nobody needs any more. @param {Uint8Array} part */
  recycle(part) {
    if (this.#filler && part.buffer.byteLength === SIZE) this.#buffer = part.buffer;
  }

  /** @param {unknown} [reason] */
  cancel(reason) {
    (this.#filler ?? this.#reader)?.cancel(reason).catch(() => {});
  }
}
