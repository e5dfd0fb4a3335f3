// A list with a filter, a search and pages that are added one after the other: of pairs, and of groups.

import { ask } from "./api.js";
import { button, fill, make, many, number } from "./dom.js";

const SIZE = 50, PATIENCE = 250; // rows of a page; milliseconds after the last letter of a search

/** A list in `place` of what `question` answers; `line(item)` draws one, `filters` are [name, text] and `choose(item)` opens one. */
export class List {
  constructor(place, question, { title, filters, line, choose, noun }) {
    Object.assign(this, { question, line, choose, noun, items: [], total: 0, asked: 0, current: () => false });
    this.filter = make("select", { onchange: () => this.reload() }, filters.map(([name, text]) => make("option", { value: name }, text)));
    this.search = make("input", { type: "search", maxlength: "200", placeholder: "Name, e-mail, id …", oninput: () => this.soon() });
    this.count = make("p", { class: "soft count", role: "status" });
    this.rows = make("ol", { class: "rows" });
    this.more = button("Show more", () => this.add(), { hidden: true });
    fill(place, make("h2", {}, title),
      make("div", { class: "filters" },
        make("label", {}, make("span", {}, "Show"), this.filter),
        make("label", {}, make("span", {}, "Search"), this.search)),
      this.count, this.rows, this.more);
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.reload(), PATIENCE);
  }

  /** Ask again for as many as are shown. */
  async reload() {
    await this.load(0, Math.min(Math.max(this.items.length, SIZE), 4 * SIZE));
  }

  async add() {
    const before = this.items.length;
    await this.load(before, SIZE);
    this.rows.children[before]?.querySelector("button").focus();
  }

  async load(offset, limit) {
    const asked = ++this.asked, words = { filter: this.filter.value, search: this.search.value.trim(), offset, limit };
    const { page } = await ask(this.question, words);
    if (asked !== this.asked) return; // a later question was faster
    this.items = [...this.items.slice(0, offset), ...page.items];
    this.total = page.total;
    this.draw();
  }

  draw() {
    const focused = [...this.rows.children].findIndex(row => row.contains(document.activeElement));
    fill(this.rows, this.items.map(item => make("li", {}, button(this.line(item), () => this.choose(item)))));
    this.mark();
    if (focused >= 0) this.rows.children[Math.min(focused, this.items.length - 1)]?.querySelector("button").focus();
    const part = this.items.length < this.total ? `, ${number(this.items.length)} shown` : "";
    this.count.textContent = this.total ? `${many(this.total, this.noun)}${part}` : `No ${this.noun} here`;
    this.more.hidden = this.items.length >= this.total;
  }

  /** Mark the item that is open now. */
  mark() {
    this.items.forEach((item, at) => {
      const button = this.rows.children[at]?.querySelector("button");
      if (this.current(item)) button?.setAttribute("aria-current", "true");
      else button?.removeAttribute("aria-current");
    });
  }

  /** Return the item after the one that `is` tells, or the first of the list. */
  after(is) {
    const at = this.items.findIndex(is);
    return this.items[at + 1] ?? null;
  }
}
