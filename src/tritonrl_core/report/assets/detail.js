"use strict";
// One candidate: why it was judged so, what was measured, its plan and its code. Opened by its address (#c=17).

let shownCandidate = null, cameFrom = null;

async function openCandidate(number) {
  const sheet = $("sheet");
  if (!rows || !(number >= 0 && number < rows.status.length)) { if (rows) closeCandidate(); return; }
  if (sheet.hidden) cameFrom = document.activeElement;
  shownCandidate = number;
  sheet.hidden = false;
  document.body.classList.add("sheet-open");
  sheet.replaceChildren(el("div.sheet-box", sheetHead(number), el("p.note", "opening …")));
  const text = await textOf(rows, number);
  if (shownCandidate !== number) return;
  sheet.replaceChildren(el("div.sheet-box", sheetHead(number), text ? candidateBody(number, text) : el("p.note", "The text of this one did not fit into the page. It is line " + (number + 1) + " or so of the run's scores.jsonl.")));
  sheet.querySelector(".close").focus();
  sheet.scrollTop = 0;
}

function closeCandidate() {
  if (shownCandidate === null) return;
  shownCandidate = null;
  $("sheet").hidden = true;
  $("sheet").replaceChildren();
  document.body.classList.remove("sheet-open");
  if (cameFrom && cameFrom.isConnected) cameFrom.focus({preventScroll: true});
}

// Leave to where the reader was: the filters, which stay said in the list's own state.
function leave() {
  const said = new URLSearchParams(Object.entries(filters).filter(([, value]) => value)).toString();
  history.replaceState(null, "", said ? "#" + said : location.pathname + location.search);
  closeCandidate();
}

function sheetHead(number) {
  const place = matching.indexOf(number), near = (step) => matching[place + step];
  const move = (step, text, label) => el("button.small", {type: "button", "aria-label": label, title: label, disabled: place < 0 || near(step) === undefined, onclick: () => { location.replace("#c=" + near(step)); }}, text);
  return el("div.sheet-head", badge(rows.statuses[rows.status[number]]), el("b.sheet-task", rows.tasks[rows.task[number]]), el("span.grow"), move(-1, "‹", "the one before"), move(1, "›", "the next one"), el("button.small.close", {type: "button", "aria-label": "close", onclick: leave}, "✕"));
}

function candidateBody(number, c) {
  const status = rows.statuses[rows.status[number]];
  const line = /(?:^|, at )line (\d+)\b/.exec(c.reason);
  return [
    el("p.where", [`level ${rows.level[number]}`, c.family, rows.step[number] >= 0 ? (digest.kind === "training" ? "step " + (rows.step[number] + 1) : "sample " + rows.step[number]) : "", rows.plugins[rows.plugin[number]] ? `decided by ${rows.plugins[rows.plugin[number]]}: ${stageName(rows.stages[rows.stage[number]])}` : "", rows.cached[number] ? "the same code was judged before" : duration(c.seconds)].filter(Boolean).join(" · "),
      " · ", filterLink({task: c.task}, "all of this task")),
    el("p.meaning", el("b", statusName(status)), ": ", MEANING[status], "."),
    c.reason ? el("pre.reason-box." + statusClass(status), c.reason) : null,
    el("div.facts-row", c.timing ? speedCard(c.timing) : null, c.worst ? worstCard(c) : null, casesCard(c)),
    c.plan.trim() ? el("div", el("h4", "Plan"), el("p.plan", c.plan.trim())) : null,
    c.code ? el("div", el("div.code-head", el("h4", "Code"), copyButton(c.code)), codeBlock(c.code, PYTHON, line ? Number(line[1]) : 0)) : el("div", el("h4", "Completion, with no code in it"), el("pre.reason-box", c.text || "(empty)")),
    launchesCard(c.facts),
    el("details", el("summary", "All facts of the verdict"), factsTable(c)),
  ];
}

// As the funnel calls it; a stage at which nobody was stopped or passed has no row there.
const stageName = (stage) => (digest.funnel.find((row) => row.stage === stage) || {name: stage}).name;

function fact(label, value, note) {
  return el("div.fact", el("span", label), el("b", value), note ? el("small", note) : null);
}

function speedCard(t) {
  const middle = (samples) => { const s = samples.map(Number).sort((a, b) => a - b); return s.length ? s[Math.floor(s.length / 2)] : null; };
  const us = (x) => x === null ? "–" : x < 1000 ? x.toFixed(x < 10 ? 2 : 1) + " µs" : (x / 1000).toFixed(2) + " ms";
  const all = [["this kernel", middle(t.candidate_us), true], ...Object.entries(t.baseline_us).map(([name, samples]) => [name, middle(samples), false])];
  const most = Math.max(...all.map(([, x]) => x || 0));
  return el("div.card.flat", el("div.card-head", el("h4", `${times(Number(t.speedup))} ${t.clock === "estimated" ? "estimated" : "measured"}`), el("small.dim", Number(t.speedup_low) === Number(t.speedup_high) ? "" : `95 % ${times(Number(t.speedup_low))} to ${times(Number(t.speedup_high))}`)),
    all.map(([name, x, own]) => el("div.time-row", el("span", name), el("span.bar", el("i.fill", {style: {width: 100 * (x || 0) / most + "%", background: own ? "var(--speed)" : "var(--through)"}})), el("b", us(x)))),
    el("small.dim", [t.device, t.method, ...t.notes].filter(Boolean).join(" · ")));
}

function worstCard(c) {
  const w = c.worst, number = (x) => typeof x === "number" ? String(Number(x.toPrecision(7))) : x;
  const error = Number(c.error), right = error <= 1;
  const m = c.facts.mismatch;
  return el("div.card.flat", el("div.card-head", el("h4", "Worst element"), el("small.dim", `output ${w.output} [${w.index.join(", ")}]`)),
    el("div.worst", fact("got", number(w.got)), fact("expected", number(w.expected)), fact("allowed off by", figure(Number(w.allowed)))),
    c.error === null ? null : el("small" + (right ? ".ok" : ".bad"), `${right ? "within" : "outside"}: ${figure(error)} of what is allowed`),
    m ? el("small.dim", `${whole(m.wrong)} of ${whole(m.elements)} elements wrong, shape ${m.shape.join(" × ")}`) : null);
}

function casesCard(c) {
  const yes = (x) => x === null ? "unknown" : x ? "yes" : "no";
  return el("div.card.flat", el("div.worst", fact("valid", yes(c.valid)), fact("compiled", yes(c.compiled)), fact("inputs passed", c.cases[1] ? `${c.cases[0]} of ${c.cases[1]}` : "–")),
    el("small.dim", "sandbox: " + c.sandbox), c.unchecked.length ? el("details", el("summary", `${c.unchecked.length} things this machine cannot check`), el("ul", c.unchecked.map((text) => el("li", text)))) : null);
}

function launchesCard(facts) {
  const launches = Array.isArray(facts.launches) ? facts.launches : [];
  if (!launches.length) return null;
  const names = ["kernel", "grid", "warps", "bytes_read", "bytes_written"].filter((name) => launches.some((row) => row[name] !== undefined));
  return el("div", el("h4", launches.length === 1 ? "One launch" : launches.length + " launches"), el("div.scroll", el("table", el("thead", el("tr", names.map((name) => el("th", name.replace("_", " "))))),
    el("tbody", launches.slice(0, 12).map((row) => el("tr", names.map((name) => el("td", Array.isArray(row[name]) ? row[name].join(" × ") : figure(row[name])))))))));
}

function factsTable(c) {
  const flat = Object.entries({...c.facts, "seconds by stage": c.stages, "content key": c.key}).filter(([name]) => name !== "launches");
  return el("table", el("tbody", flat.map(([name, value]) => el("tr", el("td", name.replaceAll("_", " ")), el("td.dim", typeof value === "object" && value !== null ? JSON.stringify(value) : figure(value))))));
}
