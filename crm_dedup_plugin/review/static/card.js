// One pair, as a person sees it: both records field by field, and what the model says.

import { blank, make, named, percent, soft } from "./dom.js";

const SAYS = { same: "The same", different: "Different", unsure: "Not sure", skip: "Skipped" };
const ASIDE = "About the record only: the model does not see it";
const MARKS = { same: "=", alike: "≈", different: "≠", "other script": "≈", "only in A": "A", "only in B": "B" };

/** Return two lists of words as one line. */
export const title = pair => pair.records.map(head => head.words.join(", ")).join(" and ");
export const says = answer => SAYS[answer] ?? "";

/** Return the parts of a card. In `blind` mode nothing tells what the model thinks, unless the pair is answered. */
export function card(pair, blind) {
  const hidden = blind && !answered(pair);
  return [
    make("header", { class: "cardhead" },
      make("h2", { id: "who", tabindex: "-1" },
        named(pair.records[0].words), make("span", { class: "soft and" }, " and "), named(pair.records[1].words)),
      make("ul", { class: "tags" }, tags(pair, hidden).map(([kind, text]) => make("li", { class: `tag ${kind}` }, text)))),
    hidden ? make("p", { class: "opinion soft" }, "Blind mode: what the model thinks is shown after your answer.") : opinion(pair),
    fields(pair, hidden),
  ];
}

export const answered = pair => pair.answer && pair.answer.answer !== "skip";

function tags(pair, hidden) {
  const found = [];
  if (pair.answer) found.push(["yes", `Your answer: ${says(pair.answer.answer).toLowerCase()}`]);
  if (pair.changed) found.push(["maybe", "A record has changed since your answer: please look again"]);
  if (pair.waits && !hidden) found.push(["maybe", `Waits: ${pair.waits}`]);
  if (pair.together && !hidden) found.push(["base", "In one group now"]);
  return found;
}

function fields(pair, hidden) {
  const column = (...children) => make("th", { scope: "col", role: "columnheader" }, children);
  const head = (letter, record) => column(`${letter} `, make("small", {}, make("bdi", {}, record.place)));
  const [evidence, rest] = [true, false].map(is => pair.fields.filter(field => field.evidence === is).map(field => row(field, hidden)));
  const aside = make("tbody", { role: "rowgroup", class: "aside" },
    make("tr", { role: "row" }, make("th", { scope: "rowgroup", role: "rowheader", colspan: "3" }, ASIDE)), rest);
  return make("div", { class: "box", role: "region", "aria-label": "Both records, field by field" },
    make("table", { class: "fields pairs", role: "table" },
      make("thead", { role: "rowgroup" },
        make("tr", { role: "row" }, column("Field"), head("A", pair.records[0]), head("B", pair.records[1]))),
      make("tbody", { role: "rowgroup" }, evidence), rest.length ? aside : null));
}

function row(field, hidden) {
  const told = field.named && !hidden;
  const kind = { same: "same", alike: "alike", different: "differs" }[field.how] ?? "only";
  const sign = make("span", { class: "how", "aria-hidden": "true" }, MARKS[field.how] ?? "");
  const name = make("th", { scope: "row", role: "rowheader" }, make("bdi", {}, field.name),
    make("small", {}, sign, field.how, told ? make("span", { class: "told" }, " · in the reason") : null));
  const apart = field.a.concat(field.b).every(one => one.differs); // nothing in common: there is nothing to mark
  return make("tr", { role: "row", class: `${kind}${told ? " named" : ""}` }, name, cell(field.a, field, apart), cell(field.b, field, apart));
}

function cell(segments, field, apart) {
  if (!segments.length) return make("td", { role: "cell" }, blank());
  const text = segments.map(one => (one.differs && !apart ? make("mark", {}, one.text) : one.text));
  return make("td", { role: "cell", dir: "auto" }, text, field.cut ? make("small", {}, "shortened") : null);
}

function opinion(pair) {
  const model = pair.model;
  if (!model) return make("p", { class: "opinion soft" }, "The model was not asked about this pair.");
  const kinds = { same: "yes", different: "no", unsure: "maybe" };
  return make("section", { class: "opinion", "aria-label": "What the model thinks" },
    make("p", {}, make("span", { class: `tag ${kinds[model.says]}` }, model.decision.replace("_", " ")), " ",
      make("strong", {}, sentence(model.words)), soft(` · ${percent(model.duplicate)} duplicate`)),
    share([["yes", model.duplicate, "duplicate"], ["maybe", model.possible, "possible"], ["no", model.no_match, "no match"]]),
    model.reasoning ? make("p", { class: "reason" }, soft("Its reason: "), make("q", { dir: "auto" }, model.reasoning)) : null);
}

const sentence = text => text && text[0].toUpperCase() + text.slice(1);

/** Return a bar of shares that sum to 1. */
function share(parts) {
  const bar = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const said = parts.map(([, value, name]) => `${percent(value)} ${name}`).join(", ");
  const whole = { class: "bar", width: "100%", height: "8", role: "img", "aria-label": said };
  for (const [name, value] of Object.entries(whole)) bar.setAttribute(name, value);
  let from = 0;
  for (const [kind, value] of parts) {
    const part = document.createElementNS(bar.namespaceURI, "rect");
    const settings = { class: kind, x: `${from * 100}%`, width: `${value * 100}%`, height: "8" };
    for (const [name, one] of Object.entries(settings)) part.setAttribute(name, one);
    bar.append(part);
    from += value;
  }
  return bar;
}

/** Return what is shown where nothing is left to answer. */
export function nothing() {
  return [make("h2", { id: "who", tabindex: "-1" }, "Nothing is left to answer"),
    make("p", {}, "The list shows what you answered, and any pair can be answered again."),
    make("p", {}, "Run ", make("code", {}, "crm-dedup match"), " again: it takes your answers into the groups and the plan.")];
}
