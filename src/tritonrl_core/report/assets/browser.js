"use strict";
// The list of candidates: filters that live in the address (#status=WRONG&task=…), and rows that exist only while seen.

const ROW_HEIGHT = 46, SPARE = 8;
const FILTERS = ["status", "stage", "plugin", "level", "task", "reason"];
let rows = null, matching = [], filters = Object.fromEntries(FILTERS.map((name) => [name, ""])), sorting = "newest";
let list = null, inner = null, count = null, controls = {};

function browser() {
  list = el("div.list", {tabindex: "0", role: "listbox", "aria-label": "candidates", onscroll: drawRows});
  inner = el("div.list-inner");
  list.append(inner);
  count = el("span.count", "opening …");
  const choose = (name, label) => {
    controls[name] = el("select", {"aria-label": label, onchange: (event) => setFilters({...filters, [name]: event.target.value})});
    return controls[name];
  };
  controls.task = el("input", {type: "search", placeholder: "task", "aria-label": "task", oninput: later((event) => setFilters({...filters, task: event.target.value}))});
  controls.reason = el("input", {type: "search", placeholder: "words of the reason", "aria-label": "words of the reason", oninput: later((event) => setFilters({...filters, reason: event.target.value}))});
  const sort = el("select", {"aria-label": "order", onchange: (event) => { sorting = event.target.value; select(); }},
    [["newest", "newest first"], ["oldest", "oldest first"], ["fastest", "fastest first"], ["task", "by task"]].map(([value, text]) => el("option", {value}, text)));
  const clear = el("button.small", {type: "button", onclick: () => setFilters({})}, "clear");
  const texts = digest.texts.kept < digest.texts.total ? el("p.note", `The texts of ${whole(digest.texts.kept)} of ${whole(digest.texts.total)} fit into this page: the best and the newest of each task and status. All are in scores.jsonl.`) : null;
  return section("candidates", "Candidates", el("div.card.browser",
    el("div.filters", choose("status", "status"), choose("plugin", "plugin"), choose("level", "level"), choose("stage", "stage"), controls.task, controls.reason, sort, clear, count), list), texts);
}

function later(action) {
  let timer = 0;
  return (event) => { clearTimeout(timer); timer = setTimeout(() => action(event), 150); };
}

async function openRows() {
  rows = await unpack("rows");
  const option = (value, text) => el("option", {value}, text);
  const used = (column) => { const seen = new Map(); rows[column].forEach((n) => seen.set(n, (seen.get(n) || 0) + 1)); return seen; };
  const statuses = used("status"), plugins = used("plugin"), levels = used("level"), stages = used("stage");
  controls.status.append(option("", "all statuses"), ...rows.statuses.map((name, n) => statuses.has(n) ? option(name, `${statusName(name)} (${whole(statuses.get(n))})`) : "").filter(Boolean));
  controls.plugin.append(option("", "judged by anyone"), ...rows.plugins.map((name, n) => option(name, `${name || "nobody"} (${whole(plugins.get(n))})`)));
  controls.level.append(option("", "all levels"), ...[...levels.keys()].sort().map((level) => option(level, "level " + level)));
  controls.stage.append(option("", "all stages"), ...rows.stages.map((name, n) => stages.has(n) ? option(name, name) : "").filter(Boolean));
  select();
  fromAddress();
}

// Say the filters in the address; what follows reads them there, so that a link and a click are the same.
function setFilters(wanted) {
  const said = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== "" && value !== undefined));
  history.replaceState(null, "", "#" + (said.toString() || "candidates"));
  fromAddress();
}

function fromAddress() {
  const address = location.hash.slice(1);
  const said = new URLSearchParams(address.includes("=") ? address : "");
  if (said.has("c")) { openCandidate(Number(said.get("c"))); return; }
  closeCandidate();
  filters = Object.fromEntries(FILTERS.map((name) => [name, said.get(name) || ""]));
  if (!rows) return;
  for (const name of FILTERS) if (controls[name] !== document.activeElement) controls[name].value = filters[name];
  select();
  if (Object.values(filters).some(Boolean) && !$("candidates").contains(document.activeElement)) $("candidates").scrollIntoView();
}

function select() {
  const index = (names, name) => name ? names.indexOf(name) : -1;
  const status = index(rows.statuses, filters.status), plugin = index(rows.plugins, filters.plugin), stage = index(rows.stages, filters.stage);
  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);
  const holds = (names, text) => { const w = words(text); return w.length ? names.map((name) => w.every((word) => name.toLowerCase().includes(word))) : null; };
  const task = holds(rows.tasks, filters.task), kind = filters.reason && rows.kinds.includes(filters.reason) ? rows.kinds.map((k) => k === filters.reason) : holds(rows.kinds, filters.reason);
  matching = [];
  for (let n = 0; n < rows.status.length; n++) {
    if ((status < 0 || rows.status[n] === status) && (plugin < 0 || rows.plugin[n] === plugin) && (stage < 0 || rows.stage[n] === stage)
      && (!filters.level || String(rows.level[n]) === filters.level) && (!task || task[rows.task[n]]) && (!kind || kind[rows.kind[n]])) matching.push(n);
  }
  const fast = (n) => rows.status[n] === 0 && rows.speedup[n] !== null ? rows.speedup[n] : -1;
  if (sorting === "newest") matching.reverse();
  if (sorting === "fastest") matching.sort((a, b) => fast(b) - fast(a));
  if (sorting === "task") matching.sort((a, b) => rows.task[a] - rows.task[b] || b - a);
  count.textContent = `${whole(matching.length)} of ${whole(rows.status.length)}`;
  inner.style.height = matching.length * ROW_HEIGHT + "px";
  list.scrollTop = 0;
  drawRows();
}

function drawRows() {
  if (!rows) return;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - SPARE);
  const last = Math.min(matching.length, first + Math.ceil(list.clientHeight / ROW_HEIGHT) + 2 * SPARE);
  const seen = [];
  for (let place = first; place < last; place++) seen.push(rowOf(matching[place], place));
  if (!matching.length) seen.push(el("p.empty", "No kernel is like this. ", el("button.small", {type: "button", onclick: () => setFilters({})}, "show all")));
  inner.replaceChildren(...seen);
}

function rowOf(number, place) {
  const status = rows.statuses[rows.status[number]], speed = rows.speedup[number];
  const said = status === "PASSED" ? (speed === null ? "" : times(speed) + (rows.estimated[number] ? " estimated" : "")) : rows.kinds[rows.kind[number]];
  return el("a.row", {href: "#c=" + number, role: "option", style: {top: place * ROW_HEIGHT + "px"}},
    badge(status), el("span.row-task", rows.tasks[rows.task[number]]), el("span.row-said" + (status === "PASSED" ? ".fast" : ""), said),
    el("span.row-step", rows.step[number] >= 0 ? (digest.kind === "training" ? "step " + (rows.step[number] + 1) : "sample " + rows.step[number]) : ""));
}
