/** Scrolls to the newest words: they stay between the header and the dock, whatever the size of the window. */

const NEAR_PX = 120; // a reader who is farther away is reading something else
const SPACE_PX = 16;

export class Following {
  #words = null;
  #isOn = true; // not while the reader has scrolled away
  #observer = new ResizeObserver(() => this.reveal());
  #header;
  #footer;

  constructor(list, header, footer) {
    this.#header = header;
    this.#footer = footer;
    this.#observer.observe(list);
    this.#observer.observe(footer);
    addEventListener("resize", () => this.reveal());
    addEventListener("scroll", () => this.#look(), { passive: true });
  }

  /** Follow `words`, an element that grows. */
  follow(words) {
    if (this.#words) this.#observer.unobserve(this.#words);
    this.#observer.observe(words); // beside a long list of sources they grow, and the list of turns does not
    this.#words = words;
    this.#isOn = true;
    this.reveal();
  }

  reveal() {
    if (!this.#isOn || !this.#words?.isConnected) return;
    const move = this.#distance();
    if (move) scrollBy({ top: move, behavior: "instant" });
  }

  #band() {
    const top = Math.max(0, this.#header.getBoundingClientRect().bottom) + SPACE_PX / 2;
    return { top, bottom: this.#footer.getBoundingClientRect().top - SPACE_PX / 2 };
  }

  /** How far to scroll: the end of the words first, and their beginning too if there is room for both. */
  #distance() {
    const { top, bottom } = this.#band();
    const box = this.#words.getBoundingClientRect();
    if (box.bottom > bottom) return box.bottom - bottom;
    const fits = box.height <= bottom - top;
    return box.top < top && fits ? box.top - top : 0;
  }

  #look() {
    if (!this.#words?.isConnected) return;
    const { top, bottom } = this.#band();
    const box = this.#words.getBoundingClientRect();
    this.#isOn = box.bottom <= bottom + NEAR_PX && box.bottom >= top;
  }
}
