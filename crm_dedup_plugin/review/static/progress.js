// The view of progress: how many are answered, how far you and the model agree, and what that says of the run.

import { fill, find, make, many, number, percent } from "./dom.js";

const INTERVALS = "Beside each share stands its 95% interval. Only pairs that were drawn at random count for the merges and for what is "
  + "missing: follow the drawn order to make them more certain.";
const AGAIN = "Those pairs are shown again.";
const withGroups = () => document.querySelector("nav a[href='#groups']") !== null;

/** Draw the line under the page's title. */
export function counts(found) {
  const given = found.answered - (found.by_answer.skip ?? 0), all = given + found.waiting, share = all ? given / all : 1;
  document.querySelector("#bar .yes").setAttribute("width", `${100 * share}%`);
  find("counts").textContent = `${number(given)} answered, ${number(found.waiting)} waiting`;
}

/** Draw the view. */
export function progress(found) {
  const { same, different, unsure, skip } = { same: 0, different: 0, unsure: 0, skip: 0, ...found.by_answer };
  const tile = (name, value, more = "") => make("div", {}, make("dt", {}, name), make("dd", {}, value, more ? make("small", {}, ` ${more}`) : null));
  const between = one => `${percent(one.low)}–${percent(one.high)}`;
  const share = (name, one) => (one ? tile(name, percent(one.value), between(one)) : tile(name, "–", "not enough answers yet"));
  fill(find("progress"),
    make("h2", { tabindex: "-1" }, "Progress"),
    make("dl", { class: "tiles" },
      tile("answered", number(found.answered - skip)),
      tile(found.waiting === 1 ? "pair that waits for you" : "pairs that wait for you", number(found.waiting)),
      ...(withGroups() ? [tile("groups now", number(found.groups)), tile("records that would go", number(found.records_removed))] : [])),
    make("section", { class: "verdict", "aria-labelledby": "short" }, make("h2", { id: "short" }, "In short"),
      found.sentences.map(text => make("p", {}, text))),
    make("h2", {}, "What your answers say of the run"),
    make("dl", { class: "tiles" },
      share("you and the model agree", found.agreement),
      share("automatic merges that are right", found.precision),
      share("duplicates still missing", found.missing)),
    make("p", { class: "soft" }, INTERVALS),
    make("h2", {}, "Your answers"),
    make("p", {}, `${many(same, "time")} the same, ${number(different)} different, ${number(unsure)} not sure, ${number(skip)} skipped.`),
    found.changed ? make("p", {}, `Left out: ${many(found.changed, "answer")} about records that have changed or are gone. ${AGAIN}`) : null,
    make("h2", {}, "What comes next"),
    make("ul", {}, steps(found.until)));
}

function steps(until) {
  const command = name => make("code", {}, name);
  const more = count => many(count, "more answer");
  const learn = command("crm-dedup learn");
  const first = until.calibration ? [`${more(until.calibration)} until `, learn, " can set the threshold to your data."]
    : until.tuning ? [learn, ` can set the threshold to your data now, and train the model after ${more(until.tuning)}.`]
      : [learn, " can set the threshold to your data and train the model now."];
  const second = [command("crm-dedup match"), " with the same file takes your answers into the groups and the plan."];
  return [make("li", {}, first), withGroups() ? make("li", {}, second) : null];
}
