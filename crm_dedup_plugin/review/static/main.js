// The page: which view is shown, the keys, and what other windows do.

import { ask, seen } from "./api.js";
import { find, retries, trouble } from "./dom.js";
import { Groups } from "./groups.js";
import { help, listen } from "./keys.js";
import { Pairs } from "./pairs.js";
import { counts, progress } from "./progress.js";

const OFTEN = 2000, PATIENCE = 300; // milliseconds: between two looks at what other windows did; from a change to a new list
const links = [...document.querySelectorAll("nav a")], views = links.map(link => link.hash.slice(1));
const pairs = new Pairs(changed), groups = new Groups(changed);
let lost = false, soon = 0;

/** Take in what a change says of the whole run. */
function changed(change) {
  told(change.progress);
  clearTimeout(soon);
  soon = setTimeout(() => (find("groups").hidden ? pairs.list.reload() : groups.catchUp()).catch(error => trouble(error.message)), PATIENCE);
}

function told(found) {
  counts(found);
  pairs.controls.progress(found);
  if (!find("progress").hidden) progress(found);
}

/** Show the view that the address names: #pairs, #pairs/A-B, #groups, #groups/ROW or #progress. */
async function route(focus) {
  const [name, place = ""] = location.hash.slice(1).split("/"), view = views.includes(name) ? name : "pairs";
  for (const one of views) find(one).hidden = one !== view;
  for (const link of links) link.setAttribute("aria-current", link.hash === `#${view}` ? "page" : "false");
  document.title = document.title.replace(/^[^:]+/, `Review, ${view}`);
  scrollTo({ top: 0 });
  if (view === "pairs") await toPair(place, focus);
  else if (view === "groups") await groups.open(/^\d+$/.test(place) ? Number(place) : null, focus);
  else await toProgress(focus);
}

async function toPair(place, focus) {
  const [, a, b] = place.match(/^(\d+)-(\d+)$/) ?? [];
  if (a !== undefined) await pairs.open(a, b, { focus });
  else if (!pairs.pair) await pairs.go("next", {}, { focus });
  else pairs.show({ pair: pairs.pair, drawn: pairs.drawn }, { focus });
}

async function toProgress(focus) {
  try { progress((await ask("progress")).progress); } catch (error) { trouble(error.message); }
  if (focus) find("progress").querySelector("h2")?.focus();
}

/** Look whether another window, or a new run of match, has changed anything. */
async function look() {
  if (document.hidden) return;
  try {
    const found = await ask("version");
    if (lost && !retries()) trouble("");
    lost = false;
    if (found.version !== seen.version) {
      seen.version = found.version;
      told((await ask("progress")).progress);
      await (find("groups").hidden ? pairs : groups).refresh();
    }
  } catch (error) {
    lost = true;
    trouble(error.message);
  }
}

const inPairs = act => () => (find("pairs").hidden ? null : act());
listen({
  s: inPairs(() => pairs.answer("same")),
  d: inPairs(() => pairs.answer("different")),
  u: inPairs(() => pairs.answer("unsure")),
  k: inPairs(() => pairs.answer("skip")),
  z: () => turned("undo"),
  y: () => turned("redo"),
  n: inPairs(() => pairs.controls.writeNote(true)),
  b: inPairs(() => pairs.turnBlind()),
  ArrowLeft: inPairs(() => pairs.back()),
  ArrowRight: inPairs(() => pairs.forward()),
  g: () => (find("pairs").hidden ? toPairs() : pairs.toGroup()),
  "?": help,
});

function toPairs() {
  location.hash = "#pairs";
}

async function turned(which) {
  await pairs.turn(which);
  if (!find("groups").hidden) await groups.refresh();
}

find("help").addEventListener("click", help);
addEventListener("hashchange", () => route(true));
addEventListener("unhandledrejection", event => trouble(String(event.reason?.message ?? event.reason)));
document.addEventListener("visibilitychange", look);
setInterval(look, OFTEN);
try {
  const found = await ask("progress");
  seen.version = found.version;
  told(found.progress);
} catch (error) { trouble(error.message); }
await route(false);
pairs.list.reload().catch(error => trouble(error.message));
if (views.includes("groups")) groups.list.reload().catch(error => trouble(error.message));
