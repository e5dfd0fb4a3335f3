// Keys: which one does what, and the help that says so.

import { button, fill, find, make } from "./dom.js";

export const KEYS = [
  ["s", "s", "They are the same person or company"],
  ["d", "d", "They are different"],
  ["u", "u", "You are not sure"],
  ["k", "k or space", "Skip: the pair comes back at the end"],
  ["z", "z", "Undo, as often as you like"],
  ["y", "y", "Redo"],
  ["n", "n", "Write a note; Escape leaves it"],
  ["ArrowLeft", "←", "The pair that you answered before"],
  ["ArrowRight", "→ or j", "The next pair"],
  ["b", "b", "Blind mode: the model's opinion is shown only after your answer"],
  ["g", "g", "The group of this pair; back to the pairs"],
  ["?", "?", "This help"],
];
const ALSO = { " ": "k", j: "ArrowRight", S: "s", D: "d", U: "u", K: "k", Z: "z", Y: "y", N: "n", J: "ArrowRight", B: "b", G: "g" };
const ABOUT = "Every answer is on the disk before the page goes on. Several windows may be open at once. Nothing leaves this machine.";
const OFF = "crm-dedup-no-keys"; // in the storage of this browser

const FIELDS = "input:not([type='checkbox']), textarea, select";
const SCROLLS = "[tabindex='0']", OWN = { " ": `a, button, summary, ${SCROLLS}`, ArrowLeft: SCROLLS, ArrowRight: SCROLLS };

/** Call `actions[key]` when a key of `KEYS` is pressed outside of a field that takes text. */
export function listen(actions) {
  document.addEventListener("keydown", event => {
    const key = ALSO[event.key] ?? event.key;
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || !Object.hasOwn(actions, key)) return;
    if (localStorage.getItem(OFF) || find("keys").open || event.target.closest(FIELDS)) return;
    if (OWN[event.key] && event.target.closest(OWN[event.key])) return; // it has a meaning there
    event.preventDefault();
    if (!event.repeat) actions[key]();
  });
}

/** Show the help. */
export function help() {
  const dialog = find("keys");
  const on = make("input", { type: "checkbox", id: "single", onchange: () => {
    if (on.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  } });
  on.checked = !localStorage.getItem(OFF);
  fill(dialog,
    make("h2", { id: "keys-title" }, "Keys"),
    make("dl", { class: "keys" }, KEYS.map(([, name, about]) => make("div", {}, make("dt", {}, make("kbd", {}, name)), make("dd", {}, about)))),
    make("p", {}, make("label", {}, on, " Use these keys. Turn them off if they are in the way of a screen reader or of speech input.")),
    make("p", { class: "soft" }, ABOUT),
    make("p", {}, button("Close", () => dialog.close(), { class: "main" })));
  dialog.showModal();
}
