// The view of groups: a list, and one group with all its records.

import { ask, tell } from "./api.js";
import { says } from "./card.js";
import { fill, find, make, many, named, say, soft, trouble } from "./dom.js";
import { draw } from "./group.js";
import { AGAINST } from "./pairs.js";
import { List } from "./queue.js";

const FILTERS = [["all", "All groups"], ["weak", "The least sure first"], ["conflicts", "With conflicts of values"],
  ["answered", "That you had a say in"]];

export class Groups {
  constructor(changed) {
    Object.assign(this, { changed, group: null, chosen: new Set(), busy: false });
    const choose = item => { location.hash = `#groups/${item.row}`; };
    this.list = new List(find("group-list"), "groups", { title: "Groups", filters: FILTERS, noun: "group", line, choose });
    this.list.current = item => this.group !== null && item.row === this.group.row;
  }

  async open(row, focus = true) {
    try {
      if (row === null && !this.list.items.length) await this.list.reload();
      const wanted = row ?? this.list.items[0]?.row;
      if (wanted === undefined) return fill(find("group"), make("h2", {}, "There are no groups yet"));
      const { group } = await ask("group", { row: wanted });
      if (this.group?.row !== group.row) this.chosen.clear();
      this.group = group;
      this.draw(focus);
    } catch (error) { trouble(error.message); }
    return null;
  }

  /** Draw the group; the focus stays on what had it, or goes to the title. */
  draw(focus = false) {
    const name = document.activeElement?.dataset?.name;
    const rows = new Set(this.group.members.map(head => head.row));
    this.chosen = new Set([...this.chosen].filter(row => rows.has(row)));
    draw(find("group"), this.group, this);
    const again = name && find("group").querySelector(`[data-name="${CSS.escape(name)}"]`);
    if (again) again.focus({ preventScroll: true });
    else if (focus || name) find("group-title").focus({ preventScroll: true });
    this.list.mark();
  }

  /** Change something, then show the group of `row`. */
  async change(what, said, row, done) {
    if (this.busy) return;
    this.busy = true;
    try {
      const { change } = await tell(what, said);
      trouble(change.contradicts ? AGAINST : "");
      this.changed(change);
      this.chosen.clear();
      await this.open(row, false);
      say(`${done} ${many(this.group.size, "record")} in this group now.`);
    } catch (error) {
      trouble(`This is not kept yet. ${error.message}`, ["Try again", () => this.change(what, said, row, done)]);
    } finally { this.busy = false; }
  }

  other(row) { return this.group.members.map(head => head.row).find(one => one !== row) ?? row; }

  leaveOut(row) { return this.change("leave-out", { row }, this.other(row), "Left out."); }

  split() {
    const rows = [...this.chosen], others = this.group.members.map(head => head.row).filter(row => !this.chosen.has(row));
    return this.change("split", { rows, others }, others[0], "Split.");
  }

  join(a, b) { return this.change("join", { a, b }, a, says("same")); }
  primary(row) { return this.change("primary", { row }, row, "This record stays."); }
  value(row, field) { return this.change("value", { row, field }, this.group.row, "This value survives."); }

  select(row, on) {
    if (on) this.chosen.add(row);
    else this.chosen.delete(row);
    this.draw();
  }

  /** Show the list as it is now, and the first group where there was none: the last answer may have made it. */
  async catchUp() {
    await this.list.reload();
    if (!this.group && !this.busy && this.list.items.length) await this.open(null, false);
  }

  async refresh() {
    try { await this.list.reload(); } catch (error) { trouble(error.message); }
    if (this.group && !this.busy) await this.open(this.group.row, false);
  }
}

function line(item) {
  const told = [many(item.size, "record"), item.conflicts ? many(item.conflicts, "conflict") : null, item.answered ? "you had a say" : null];
  return [named(item.words, "one"), soft(told.filter(Boolean).join(" · "))];
}
