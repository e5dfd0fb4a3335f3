// The view of pairs: one is shown, a key answers, the next one follows.

import { ask, tell } from "./api.js";
import { answered, card, nothing, says, title } from "./card.js";
import { Controls } from "./controls.js";
import { button, fill, find, make, named, percent, say, soft, trouble } from "./dom.js";
import { List } from "./queue.js";

const BLIND = "crm-dedup-blind";
export const AGAINST = "An earlier answer of yours keeps records of these two groups apart. They stay apart, and the pair waits.";
const FILTERS = [["waiting", "Waiting for you"], ["disagreement", "You and the model disagree"], ["answered", "Answered"], ["same", "Answered: same"],
  ["different", "Answered: different"], ["unsure", "Answered: not sure"], ["skip", "Skipped"], ["merges", "Merged without a person"],
  ["DUPLICATE", "Model: duplicate"], ["POSSIBLE", "Model: possible"], ["NO_MATCH", "Model: no match"], ["all", "All pairs"]];

export class Pairs {
  /** `changed(change)` is called after each change that was kept. */
  constructor(changed) {
    Object.assign(this, { changed, pair: null, drawn: "chosen", listed: false, busy: false, blind: localStorage.getItem(BLIND) === "1" });
    const [line, choose] = [item => this.line(item), item => this.choose(item)];
    this.list = new List(find("queue"), "queue", { title: "Pairs", filters: FILTERS, noun: "pair", line, choose });
    this.list.current = item => this.is(item);
    this.controls = new Controls(this);
  }

  is(item) { return this.pair !== null && item.a === this.pair.a && item.b === this.pair.b; }

  // ----- what is shown

  /** Show the answer of `ask("next")` and its like. */
  show(found, how = {}) {
    this.pair = found.pair;
    this.drawn = found.drawn || "chosen";
    this.controls.note.value = found.pair?.answer?.note ?? "";
    this.draw();
    if (how.announce !== undefined) say(`${how.announce} ${this.pair ? title(this.pair) : "Nothing is left to answer."}`.trim());
    if (how.focus) find("who").focus();
    if (this.pair && !find("pairs").hidden) history.replaceState(null, "", `#pairs/${this.pair.a}-${this.pair.b}`);
  }

  draw() {
    const before = document.activeElement?.id;
    fill(find("pair"), this.pair ? card(this.pair, this.blind) : nothing());
    this.controls.show(this.pair, this.blind, this.listed);
    if (before === "who") find("who").focus();
    this.list.mark();
  }

  line(item) {
    const hidden = this.blind && !item.answer;
    const told = [item.answer ? says(item.answer).toLowerCase() : "not answered", item.disagrees ? "the model disagrees" : ""];
    if (!hidden) told.push(item.duplicate === null ? "" : `${percent(item.duplicate)} duplicate`, item.waits);
    if (item.again) told.push("same groups as above");
    if (!item.answer && told.filter(Boolean).length > 1) told.shift();
    return [...item.words.map(words => named(words, "one")), soft(told.filter(Boolean).join(" · "))];
  }

  /** Say what was answered last, and what the model thinks of it. */
  last(pair = null, answer = "") {
    const place = find("last"), model = pair?.model;
    place.hidden = !pair;
    if (!pair) return;
    const said = model?.says === answer ? "the model says so too" : `the model says: ${says(model?.says).toLowerCase()}`;
    const told = model && answer !== "skip" ? soft(` · ${said}, ${percent(model.duplicate)} duplicate`) : null;
    fill(place, make("p", {}, make("strong", {}, says(answer)), ": ", make("bdi", {}, title(pair)), told), button("Undo", () => this.turn("undo")));
  }

  // ----- moving

  async go(question, words = {}, how = { announce: "" }) {
    await this.once(async () => this.show(await ask(question, words), how));
  }

  async open(a, b, how = {}) {
    await this.go("pair", { a, b }, how);
  }

  async choose(item) {
    this.listed = true;
    await this.open(item.a, item.b, { focus: true });
  }

  async back() {
    await this.once(async () => {
      const found = await ask("before", this.pair?.answer ? pairOf(this.pair) : {});
      if (found.pair) this.show(found, { announce: "" });
      else say("There is no answer before this one.");
    });
  }

  async forward() {
    const next = this.listed ? this.list.after(item => this.is(item)) : null;
    if (next) await this.open(next.a, next.b, { announce: "" });
    else await this.go(this.pair?.answer ? "following" : "next", this.pair ? pairOf(this.pair) : {});
  }

  async drawnOrder() {
    this.listed = false;
    await this.go("next");
  }

  toGroup() {
    if (this.pair) location.hash = `#groups/${this.pair.records[0].group}`;
  }

  turnBlind() {
    this.blind = !this.blind;
    localStorage.setItem(BLIND, this.blind ? "1" : "0");
    this.draw();
    this.list.draw();
    say(this.blind ? "Blind mode is on: what the model thinks is shown after your answer." : "Blind mode is off.");
  }

  // ----- changing

  async answer(answer, stay = false) {
    const pair = this.pair, next = this.listed ? this.list.after(item => this.is(item)) : null;
    if (!pair) return;
    const note = this.controls.note.value.trim(), blind = this.blind && !answered(pair);
    await this.once(async () => {
      const found = await tell("answer", { ...pairOf(pair), answer, note, drawn: this.drawn, blind });
      trouble(found.change.contradicts ? AGAINST : "");
      this.last(pair, answer);
      this.changed(found.change);
      const then = stay ? pairOf(pair) : next && pairOf(next);
      this.show(then ? await ask("pair", then) : found, { announce: `Kept: ${says(answer)}.${stay ? "" : " Next:"}` });
      if (!this.pair) find("who").focus({ preventScroll: true });
      scrollTo({ top: 0 });
    }, error => trouble(`Your answer “${says(answer)}” is not kept yet. ${error.message}`, ["Try again", () => this.answer(answer, stay)]));
  }

  keepNote() { return this.answer(this.pair.answer.answer, true); }

  async turn(which) {
    await this.once(async () => {
      const { change } = await tell(which);
      trouble("");
      if (!change) return say(`There is nothing to ${which}.`);
      this.changed(change);
      this.last();
      const [pair] = change.pairs, announce = which === "undo" ? "Undone." : "Done again.";
      if (change.kind !== "pair" || !pair || find("pairs").hidden) return say(announce);
      return this.show(await ask("pair", { a: pair[0], b: pair[1] }), { announce });
    });
  }

  /** Do one thing at a time: a key pressed meanwhile would answer a pair that is not shown yet. */
  async once(work, failed = error => trouble(error.message)) {
    if (this.busy) return;
    this.busy = true;
    try { await work(); } catch (error) { failed(error); } finally { this.busy = false; }
  }

  /** Show what other windows have changed; what is typed here stays. */
  async refresh() {
    await this.list.reload();
    if (!this.pair || this.busy) return;
    const note = this.controls.note, before = this.pair.answer, found = await ask("pair", pairOf(this.pair));
    if (this.busy || !this.is(found.pair) || JSON.stringify(found.pair) === JSON.stringify(this.pair)) return;
    this.pair = found.pair;
    if (note.value === (before?.note ?? "")) note.value = found.pair.answer?.note ?? "";
    this.draw();
    if (found.pair.answer && found.pair.answer.n !== before?.n) say(`Answered in another window: ${says(found.pair.answer.answer)}.`);
  }
}

const pairOf = pair => ({ a: pair.a, b: pair.b });
