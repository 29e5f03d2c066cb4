/**
 * Metrics of filters, and their text for Prometheus.
 */

import { MetricKind } from "./abi.js";

/** Upper bounds of histograms' buckets, as Envoy has them. */
const BOUNDS = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6, 3.6e6, Infinity];

/**
 * One series as it is told to others: its value, or for a histogram counts by bucket and the sum.
 * @typedef {{ name: string, kind: number, value: number, buckets?: number[] }} Series
 */

export class Metrics {
  /** @type {Series[]} */
  #series = [];
  /** @type {Map<string, number>} */
  #numbers = new Map();

  /** @param {number} kind @param {string} name @returns {number} the same for the same name */
  define(kind, name) {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const series = kind === MetricKind.Histogram ? { name, kind, value: 0, buckets: BOUNDS.map(() => 0) } : { name, kind, value: 0 };
    const number = this.#series.push(series);
    this.#numbers.set(name, number);
    return number;
  }

  /** @param {number} number */
  get(number) {
    return this.#series[number - 1]?.value;
  }

  /** @param {number} number @param {number} offset @returns {boolean} whether there is such a counter or gauge */
  increment(number, offset) {
    const series = this.#series[number - 1];
    if (!series || series.buckets) return false;
    series.value = Math.max(0, series.value + offset);
    return true;
  }

  /** @param {number} number @param {number} value @returns {boolean} whether there is such a gauge or histogram */
  record(number, value) {
    const series = this.#series[number - 1];
    if (!series || series.kind === MetricKind.Counter) return false;
    if (series.buckets) {
      const bucket = BOUNDS.findIndex((bound) => value <= bound);
      series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
      series.value += value;
    } else {
      series.value = value;
    }
    return true;
  }

  /** What was counted since the last time; gauges are nobody else's business and stay. @returns {Series[]} */
  take() {
    const taken = [];
    for (const series of this.#series) {
      const isEmpty = series.buckets ? series.buckets.every((count) => count === 0) : series.value === 0;
      if (series.kind === MetricKind.Gauge || isEmpty) continue;
      taken.push(structuredClone(series));
      series.value = 0;
      series.buckets?.fill(0);
    }
    return taken;
  }

  /** Adds what others counted. @param {readonly Series[]} told */
  add(told) {
    for (const { name, kind, value, buckets } of told) {
      const series = this.#series[this.define(kind, name) - 1];
      if (!series) continue;
      series.value += value;
      buckets?.forEach((count, bucket) => series.buckets && (series.buckets[bucket] = (series.buckets[bucket] ?? 0) + count));
    }
  }

  /** The text format of Prometheus, version 0.0.4. */
  text() {
    return this.#series.map(lines).join("");
  }
}

/**
 * `scarecrow.verdicts.action.tag` is the series `scarecrow_verdicts{action="tag"}`: after the first two words, names and values of labels
 * follow by turns. An odd number of words belongs to the name.
 * @param {string} name
 */
function labelled(name) {
  const words = name.split(".");
  const own = words.length % 2 === 0 ? 2 : 3;
  const labels = [];
  for (let at = own; at + 1 < words.length; at += 2) labels.push(`${words[at]}="${words[at + 1]}"`);
  return { base: words.slice(0, own).join("_").replace(/[^a-zA-Z0-9_]/g, "_"), labels };
}

/** @param {Series} series */
function lines({ name, value, buckets }) {
  const { base, labels } = labelled(name);
  const text = (/** @type {string} */ suffix, /** @type {string[]} */ all, /** @type {number} */ number) =>
    `${base}${suffix}{${all.join(",")}} ${number}\n`;
  if (!buckets) return text("", labels, value);
  let sum = 0;
  const counts = buckets.map((count, bucket) => {
    const bound = BOUNDS[bucket] === Infinity ? "+Inf" : BOUNDS[bucket];
    return text("_bucket", [...labels, `le="${bound}"`], (sum += count));
  });
  return counts.join("") + text("_sum", labels, value) + text("_count", labels, sum);
}
