// A token bucket a key: `size` tokens at most, all of them again after `seconds`.
export class Buckets {
  #size;
  #rate;
  #held = new Map();

  constructor(size, seconds) {
    this.#size = size;
    this.#rate = size / (seconds * 1000);
  }

  take(key) {
    const now = performance.now();
    const held = this.#held.get(key);
    if (held === undefined) {
      this.#held.set(key, { tokens: this.#size - 1, then: now });
      return true;
    }
    held.tokens = Math.min(this.#size, held.tokens + (now - held.then) * this.#rate);
    held.then = now;
    if (held.tokens < 1) return false;
    held.tokens -= 1;
    return true;
  }
}
