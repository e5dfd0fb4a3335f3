// Elements made of text and other elements. Whatever a record holds goes through `text`, never through markup.

/** Return an element; `settings` are attributes, and functions by the names of events ("onclick"); strings among `children` become text. */
export function make(tag, settings = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter(one => one !== null && one !== undefined && one !== false));
  return made;
}

export const find = id => document.getElementById(id);

/** Replace what is in an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(one => one !== null && one !== undefined && one !== false));
}

/** Say something to a screen reader,. */
export function say(text) {
  const line = find("said");
  line.textContent = "";
  requestAnimationFrame(() => { line.textContent = text; });
}

/** Tell whether something waits to be tried again. */
export const retries = () => find("trouble").querySelector("button") !== null;

/** Show or take away what is wrong; `cure` is a button's text and what it does, and stays until that is done. */
export function trouble(text, cure = null) {
  const box = find("trouble");
  if (text && !cure && retries()) return;
  box.hidden = !text;
  fill(box, text ? make("p", {}, text) : null, text && cure ? make("button", { type: "button", onclick: cure[1] }, cure[0]) : null);
}

export const button = (text, act, settings = {}) => make("button", { type: "button", onclick: act, ...settings }, text);
export const soft = (...children) => make("span", { class: "soft" }, children);
export const unseen = text => make("span", { class: "unseen" }, text);

/** Return the words by which a person knows a record again. */
export function named(words, kind = "who") {
  const dot = () => make("span", { class: "dot", "aria-hidden": "true" }, " · ");
  return make("span", { class: kind }, words.map((word, at) => [at ? dot() : null, make("bdi", {}, word)]));
}

/** Return a sign for a blank, and the word for it. */
export const blank = () => [make("span", { class: "none", "aria-hidden": "true" }, "–"), unseen("blank")];

export const number = value => value.toLocaleString("en-US");

/** Return a count with its noun. */
export const many = (count, noun, plural = `${noun}s`) => `${number(count)} ${count === 1 ? noun : plural}`;

/** Return a share in percent, where nearly all is not all and nearly none is not none. */
export const percent = value => (value === 0 || value === 1 ? `${value * 100}%` : `${(Math.min(Math.max(value, 0.001), 0.999) * 100).toFixed(1)}%`);
