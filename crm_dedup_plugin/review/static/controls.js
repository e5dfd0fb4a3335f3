// The buttons under a pair, and its note; keys do the same.

import { button, fill, find, make, unseen } from "./dom.js";

const ANSWERS = [["same", "Same", "S"], ["different", "Different", "D"], ["unsure", "Not sure", "U"], ["skip", "Skip", "K"]];
const BLIND = "Hide what the model thinks until you have answered";
const key = name => make("kbd", { "aria-hidden": "true" }, name);

/** The buttons call `view`, which tells them by `show` what is so now. */
export class Controls {
  constructor(view) {
    const one = ([name, text, letter]) => [name, button([text, key(letter)], () => view.answer(name), { class: `answer ${name}` })];
    this.answers = Object.fromEntries(ANSWERS.map(one));
    this.undo = button(["Undo", key("Z")], () => view.turn("undo"));
    this.redo = button(["Redo", key("Y")], () => view.turn("redo"));
    this.noting = button(["Note", key("N")], () => this.writeNote(find("noted").hidden), { "aria-expanded": "false", "aria-controls": "noted" });
    this.blind = button(["Blind", key("B")], () => view.turnBlind(), { title: BLIND });
    this.group = button(["Group", key("G")], () => view.toGroup());
    this.order = button("Back to the drawn order", () => view.drawnOrder());
    this.note = make("textarea", { id: "note", rows: "2", maxlength: "4000", onkeydown: event => this.leave(event) });
    this.keep = button("Keep this note", () => view.keepNote());
    const previous = button(["←", unseen(" previous")], () => view.back(), { title: "The pair that you answered before (←)" });
    const next = button([unseen("next "), "→"], () => view.forward(), { title: "The next pair (→ or j)" });
    fill(find("answers"),
      make("div", { class: "four" }, Object.values(this.answers)),
      make("div", { class: "small", role: "group", "aria-label": "More" },
        previous, next, this.undo, this.redo, this.noting, this.blind, this.group, this.order),
      make("div", { id: "noted", hidden: true },
        make("label", { for: "note", class: "soft" }, "Your note is kept with your answer."), this.note, this.keep));
  }

  /** Show what holds of the pair, or of none. */
  show(pair, blind, listed) {
    find("answers").hidden = !pair;
    for (const [name, one] of Object.entries(this.answers)) one.setAttribute("aria-pressed", String(pair?.answer?.answer === name));
    this.blind.setAttribute("aria-pressed", String(blind));
    this.order.hidden = !listed;
    this.group.hidden = !document.querySelector("nav a[href='#groups']");
    this.keep.hidden = !pair?.answer;
    this.noting.classList.toggle("full", this.note.value !== "");
  }

  writeNote(open) {
    find("noted").hidden = !open;
    this.noting.setAttribute("aria-expanded", String(open));
    (open ? this.note : this.noting).focus();
  }

  leave(event) {
    if (event.key === "Escape") this.writeNote(false);
  }

  progress(found) {
    this.undo.disabled = !found.can_undo;
    this.redo.disabled = !found.can_redo;
  }
}
