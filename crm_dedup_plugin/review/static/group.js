// One group as a table: a column a record, a row a field; choosing a value makes it survive.

import { ask } from "./api.js";
import { blank, button, fill, make, many, named, percent, soft } from "./dom.js";

const KINDS = { holds: "holds them together", agrees: "agrees", cut: "was cut", forbids: "keeps them apart" };
const CRMS = { hubspot: "HubSpot", salesforce: "Salesforce", dynamics: "Dynamics 365", pipedrive: "Pipedrive", zoho: "Zoho" };
const FOUND = 8; // groups that a search shows
const NO_MERGE = "There is no merge for this file: the cleaned file holds the record that stays, with the values that survive.";

/** Draw a group into `place`; `view` is what its buttons call. */
export function draw(place, group, view) {
  const plan = group.plan, more = group.size - group.members.length;
  const open = new Set([...place.querySelectorAll("details[open]")].map(one => one.dataset.part));
  const part = (name, title, ...children) => make("details", { "data-part": name, open: open.has(name) }, make("summary", {}, title), children);
  fill(place,
    make("header", { class: "cardhead" },
      make("h2", { id: "group-title", tabindex: "-1" }, named(group.members[0].words)),
      make("ul", { class: "tags" },
        make("li", { class: "tag base" }, group.size === 1 ? "on its own" : many(group.size, "record")),
        conflicts(plan) ? make("li", { class: "tag maybe" }, many(conflicts(plan), "conflict")) : null)),
    make("div", { class: "box", role: "region", tabindex: "0", "aria-label": "All records of the group" }, table(group, view)),
    more > 0 ? make("p", { class: "soft" }, `And ${many(more, "more record")}.`) : null,
    group.size > 1 ? choice(group, view) : null,
    plan ? part("plan", planned(plan), steps(plan)) : null,
    group.links.length ? part("links", `Why they are together: ${many(group.links.length, "link")}`, links(group, view)) : null,
    part("join", "Join with another group", joining(group, view)));
}

const conflicts = plan => plan?.fields.filter(field => field.conflict).length ?? 0;

function table(group, view) {
  const fields = new Map((group.plan?.fields ?? []).map(field => [field.name, field]));
  const names = [...group.columns, ...[...fields.keys()].filter(name => !group.columns.includes(name))];
  const head = make("tr", {}, make("th", { scope: "col" }, "Field"), group.members.map(one => member(one, group, view)));
  const rows = names.map(name => {
    const at = group.columns.indexOf(name), field = fields.get(name);
    const title = make("th", { scope: "row" }, make("bdi", {}, name),
      field?.conflict ? make("small", { class: "how" }, "conflict") : null,
      field?.chosen ? make("small", {}, "your choice") : null);
    const cells = group.members.map((one, number) => cell(one, at < 0 ? null : group.cells[number][at], field, view));
    return make("tr", { class: field?.conflict ? "conflict" : "" }, title, cells);
  });
  const caption = make("caption", { class: "unseen" }, "A column for each record. Choose a value to make it survive.");
  return make("table", { class: "members" }, caption, make("thead", {}, head), make("tbody", {}, rows));
}

function member(one, group, view) {
  const stays = group.plan?.primary === one.row, act = name => `${name}-${one.row}`;
  const select = event => view.select(one.row, event.target.checked);
  const box = make("input", { type: "checkbox", "data-name": act("select"), onchange: select });
  box.checked = view.chosen.has(one.row);
  const primary = { "data-name": act("primary"), "aria-pressed": String(stays) };
  const acts = make("span", { class: "acts" },
    group.plan ? button(stays ? "Stays" : "Let it stay", () => view.primary(one.row), primary) : null,
    button("Leave out", () => view.leaveOut(one.row), { "data-name": act("out") }),
    make("label", {}, box, " select"));
  return make("th", { scope: "col", class: stays ? "stays" : "" }, named(one.words, "one"), make("small", {}, make("bdi", {}, one.place)),
    group.size > 1 ? acts : null);
}

function cell(one, shown, field, view) {
  const choice = field?.choices.find(found => found.row === one.row), text = shown?.text || choice?.value || "";
  const survives = Boolean(field && text && field.rows.includes(one.row));
  const settings = { class: [shown?.differs ? "differs" : "", survives ? "survives" : ""].join(" ").trim(), dir: "auto" };
  if (!choice || !text) return make("td", settings, text ? make("bdi", {}, text) : blank());
  const name = { class: "value", "aria-pressed": String(survives), "data-name": `value-${one.row}-${field.name}`, title: "Let this value survive" };
  const content = [make("bdi", {}, text), survives ? make("small", {}, "survives") : null];
  return make("td", settings, button(content, () => view.value(one.row, field.name), name));
}

function choice(group, view) {
  const count = view.chosen.size, fits = count > 0 && count < group.members.length;
  const text = count ? `Split ${many(count, "record")} off` : "Split the selected records off";
  const hint = fits || !count ? "Select the records of another person or company above." : "Leave at least one record unselected.";
  return make("p", { class: "small" }, button(text, () => view.split(), { "data-name": "split", disabled: !fits }), soft(` ${hint}`));
}

function planned(plan) {
  return CRMS[plan.crm] ? `What ${CRMS[plan.crm]}’s own merge would do: ${many(plan.steps.length, "step")}` : "What the plan says";
}

function steps(plan) {
  const byHand = [...plan.by_hand, ...Object.entries(plan.set_by_hand).map(([name, value]) => `${name}: ${value}`)];
  const listed = (title, texts) => (texts.length ? make("p", {}, title, texts.map((text, at) => [at ? ", " : null, make("bdi", {}, text)])) : null);
  return [
    make("ol", { class: "steps" }, plan.steps.map(step => make("li", {}, make("pre", {}, JSON.stringify(step, null, 1))))),
    plan.steps.length ? null : make("p", { class: "soft" }, NO_MERGE),
    listed("By hand: ", byHand), listed("In no step: ", plan.left_over)];
}

function links(group, view) {
  const names = new Map(group.members.map(head => [head.row, head.words[0] ?? head.id]));
  const name = row => make("bdi", {}, names.get(row) ?? "a record of another group");
  const line = link => {
    const sure = link.duplicate === null ? "" : `, ${percent(link.duplicate)} duplicate`;
    const join = button("Join", () => view.join(link.a, link.b), { "data-name": `join-${link.a}-${link.b}` });
    return make("li", { class: link.kind },
      make("a", { href: `#pairs/${link.a}-${link.b}` }, name(link.a), " and ", name(link.b)),
      soft(` ${link.by === "person" ? "your answer" : "the model"} ${KINDS[link.kind]}${sure} `), link.kind === "cut" ? join : null);
  };
  return make("ul", { class: "links" }, group.links.map(line));
}

/** Return a search for another group that belongs to this one. */
function joining(group, view) {
  const found = make("ul", { class: "links", "aria-live": "polite" });
  const line = item => make("li", {},
    named(item.words), soft(` ${many(item.size, "record")} `), button("Join", () => view.join(group.row, item.row)));
  const look = async () => {
    const { page } = await ask("groups", { filter: "all", search: words.value.trim(), offset: 0, limit: FOUND + 1 });
    const others = page.items.filter(item => item.row !== group.row).slice(0, FOUND);
    fill(found, others.length ? others.map(line) : make("li", { class: "soft" }, "Nothing else was found."));
  };
  const words = make("input", { type: "search", maxlength: "200", "aria-label": "Search for a record that belongs to this group" });
  return [make("form", { onsubmit: event => { event.preventDefault(); look(); } }, words, make("button", {}, "Search")), found];
}
