"use strict";
// The figures above the candidates: each function builds one section from the digest, or nothing where it has no data.

const STATUSES = ["PASSED", "WRONG", "RUNTIME_ERROR", "TIMEOUT", "BUILD_ERROR", "REJECTED", "CHEATED", "UNSUPPORTED", "INFRA"];
const colourOf = (status) => "--" + statusClass(status);
const LEVELS = ["--level-1", "--level-2", "--level-3", "--level-4"];
const h = digest.headline;
const guess = () => h.estimated ? el("span.tag", {title: "computed from traffic and the roofline; there was no GPU to measure on"}, "estimated") : null;

function section(id, title, ...content) {
  return el("section", {id}, el("h2", title), ...content);
}

function card(title, note, ...content) {
  return el("div.card", el("div.card-head", el("h3", title), note), ...content);
}

function hero() {
  const before = h.held_out.before, after = h.held_out.after;
  const q = digest.question;
  const made = [digest.kind === "training" ? "training run" : "evaluation", digest.preset.name, "model " + shortName(q ? q.model : digest.preset.model),
    digest.made.clock === "estimated" ? "no GPU: kernels carried out on the CPU, speed estimated" : digest.made.device].filter(Boolean);
  const tiles = el("div.tiles",
    tile(whole(h.candidates), "kernels judged", whole(h.different) + " different"),
    tile(`${whole(h.solved)} of ${whole(h.tasks)}`, "tasks solved", "at least one kernel right"),
    bestTile(),
    tile(whole((h.statuses.REJECTED || 0) + (h.statuses.CHEATED || 0)), "refused", `${whole(h.statuses.REJECTED || 0)} by a rule, ${whole(h.statuses.CHEATED || 0)} caught cheating`));
  return el("div.hero", el("p.kicker", made.join(" · ")), claim(before, after), tiles, strip(h.statuses));
}

const shortName = (path) => path.length > 40 ? "…/" + path.split("/").pop() : path;

function claim(before, after) {
  if (before && after && before.sampled_correct !== null) {
    return el("div.claim",
      el("h1", el("span.was", percent(before.sampled_correct, 1)), el("span.arrow", "→"), el("span.now", percent(after.sampled_correct, 1))),
      el("p", "of its kernels are right on tasks it never trained on, before and after this run"),
      ranges([["before", before, "--muted"], ["after", after, "--accent"]]));
  }
  if (digest.kind === "evaluation") {
    const all = digest.figures[0].figures;
    return el("div.claim", el("h1", el("span.now", percent(all.correct.value, 1))),
      el("p", `of its kernels are right, on ${whole(digest.figures[0].tasks)} tasks` + (all.correct.low === null ? "" : `; 95 % interval ${percent(all.correct.low, 1)} to ${percent(all.correct.high, 1)}`)));
  }
  const s = digest.steps, passed = s.step ? s.status.PASSED : null;
  if (passed) {
    const part = Math.max(1, Math.round(s.step.length / 5)), sum = (list) => list.reduce((a, b) => a + b, 0);
    const share = (from, to) => sum(passed.slice(from, to)) / (sum(s.count.slice(from, to)) - sum((s.status.INFRA || []).slice(from, to)));
    return el("div.claim",
      el("h1", el("span.was", percent(share(0, part), 1)), el("span.arrow", "→"), el("span.now", percent(share(-part), 1))),
      el("p", "of its kernels are right, in the first and the last fifth of training"));
  }
  return el("div.claim", el("h1", el("span.now", percent((h.statuses.PASSED || 0) / h.candidates))), el("p", "of its kernels are right"));
}

function ranges(rows) {
  return el("div.ranges", rows.map(([name, held, colour]) => el("div.range-row", el("span", name), intervalBar(
    held.sampled_correct, held.sampled_correct_low, held.sampled_correct_high, colour, 1,
    `95 % interval ${percent(held.sampled_correct_low, 1)} to ${percent(held.sampled_correct_high, 1)}, ${held.sampled_samples} samples; greedy ${percent(held.greedy_correct, 1)}`,
  ), el("span.dim", "greedy " + percent(held.greedy_correct, 1)))));
}

// A bar to `value` with its interval as a whisker, on a scale up to `most`.
function intervalBar(value, low, high, colour, most, title) {
  const at = (x) => Math.max(0, Math.min(100, 100 * x / most)) + "%";
  return el("span.bar", {title}, el("i.fill", {style: {width: at(value || 0), background: `var(${colour})`}}),
    low === null || low === undefined ? null : el("i.whisker", {style: {left: at(low), width: `calc(${at(high)} - ${at(low)})`}}));
}

function tile(value, label, note) {
  return el("div.tile", el("b", value), el("span", label), el("small", note));
}

function bestTile() {
  const best = digest.best.find((row) => row.low !== null);
  if (!best) return tile("–", "best speedup", "nothing was timed");
  const node = tile(times(best.speedup), best.estimated ? "best speedup, estimated" : "best speedup", "");
  node.lastChild.append(candidateLink(best.candidate, best.task));
  return node;
}

const candidateLink = (number, text) => el("a", {href: "#c=" + number}, text);
const filterLink = (filters, text, attributes = {}) => el("a", {href: "#" + new URLSearchParams(filters), ...attributes}, text);

function strip(counts) {
  const known = STATUSES.filter((name) => counts[name]);
  const total = known.reduce((sum, name) => sum + counts[name], 0);
  return el("div.strip", el("div.strip-bar", known.map((name) => filterLink({status: name}, "", {
    class: "part", title: `${statusName(name)}: ${counts[name]}; ${MEANING[name]}`, "aria-label": `${statusName(name)}: ${counts[name]}`,
    style: {"flex-grow": counts[name], background: `var(${colourOf(name)})`}}))),
  el("div.legend", known.map((name) => filterLink({status: name}, [el("i", {style: {background: `var(${colourOf(name)})`}}),
    statusName(name), el("b", whole(counts[name])), el("small", percent(counts[name] / total))], {title: MEANING[name]}))));
}

function learning() {
  const s = digest.steps;
  if (!s.step) return digest.kind === "evaluation" ? figuresTable() : null;
  const chart = (title, columns, colour, format, extra, note, steps = s.step) => {
    const out = el("span.readout"), box = el("div.plot");
    const read = (i) => {
      const at = i === null || i === undefined ? steps.length - 1 : i;
      const [v, low, high] = [columns.value[at], columns.low[at], columns.high[at]];
      out.replaceChildren(el("b", format(v)), low === null ? "" : ` ${format(low)} to ${format(high)}`, el("small", ` step ${steps[at]}`));
    };
    read(null);
    queue.push(() => bandPlot(box, steps, columns, colour, format, {...extra, read}));
    return el("div.card", el("div.card-head", el("h3", title), note), out, box);
  };
  const held = digest.held_out.step ? chart("Correct on held-out tasks", digest.held_out, "--accent", (x) => percent(x), {range: () => [0, 1], alone: true}, el("small.dim", "band: 95 % over tasks"), digest.held_out.step) : null;
  return section("learning", "What it learned", el("div.grid", held,
    chart("Correct", s.correct, "--s-passed", (x) => percent(x), {range: () => [0, 1]}, el("small.dim", "band: 95 % over groups")),
    chart("Reward", s.reward, "--accent", (x) => x === null ? "–" : x.toFixed(2), {}, el("small.dim", "band: 95 % over groups")),
    chart("Speedup of correct kernels", s.speedup, "--speed", times, {rule: 1}, [guess(), el("small.dim", "median, middle 80 %")]),
    statusChart(s)));
}

function statusChart(s) {
  const parts = STATUSES.filter((name) => s.status[name]).map((name) => [name, s.status[name].map((n, i) => n / s.count[i]), colourOf(name)]);
  const box = el("div.plot"), out = el("span.readout");
  const read = (i) => {
    const at = i === null || i === undefined ? s.step.length - 1 : i;
    out.replaceChildren(parts.map(([name, values]) => values[at] ? `${statusName(name)} ${percent(values[at])}` : "").filter(Boolean).slice(0, 4).join(" · "), el("small", ` step ${s.step[at]}`));
  };
  read(null);
  queue.push(() => stackPlot(box, s.step, parts, (x) => percent(x), {range: () => [0, 1], read}));
  return el("div.card", el("div.card-head", el("h3", "How they were judged"), el("small.dim", "shares of a step")), out, box);
}

function figuresTable() {
  const names = Object.keys(digest.figures[0].figures);
  const rows = digest.figures.map((part) => el("tr", el("th", part.name), el("td.num", part.tasks), el("td.num", part.samples),
    names.map((name) => {
      const f = part.figures[name], show = name === "speedup" ? times : (x) => percent(x, 1);
      return el("td.num", f.value === null ? "–" : show(f.value), f.low === null ? "" : el("small", `${show(f.low)} to ${show(f.high)}`));
    })));
  return section("learning", "Figures", el("p.note", "95 % intervals by bootstrap over tasks", h.estimated ? "; speeds are estimates, not measurements." : "."),
    el("div.card.scroll", el("table.figures", el("thead", el("tr", ["", "tasks", "samples", ...names].map((name) => el("th", name)))), el("tbody", rows))));
}

function rejected() {
  const top = digest.funnel[0].entered;
  const rows = digest.funnel.map((row) => {
    const stopped = Object.entries(row.stopped), gone = stopped.reduce((sum, [, n]) => sum + n, 0);
    return el("div.funnel-row", el("div.funnel-label", el("b", row.name), el("small", row.stage === "passed" ? "" : Object.keys(row.by).join(", "))),
      el("div.funnel-bar", {style: {width: Math.max(100 * row.entered / top, 0.5) + "%"}},
        el("i", {style: {"flex-grow": row.entered - gone, background: row.stage === "passed" ? "var(--s-passed)" : "var(--through)"}}),
        stopped.map(([status, n]) => filterLink({status, stage: row.stage}, "", {title: `${statusName(status)}: ${n}`, "aria-label": `${statusName(status)}: ${n}`, style: {"flex-grow": n, background: `var(${colourOf(status)})`}}))),
      el("div.funnel-text", el("span", el("b", whole(row.entered)), row.stage === "passed" ? " right" : " in"), row.stage === "passed" ? el("span") : el("span", el("b", whole(gone)), " stopped"),
        el("span.dim", row.seconds_each === null ? "" : duration(row.seconds_each) + " each")));
  });
  const most = digest.reasons.length ? digest.reasons[0].count : 1;
  return section("rejected", "What it rejected, and why",
    card("The funnel", el("small.dim", "different kernels; the cost of one that ends there"), el("div.funnel", rows)),
    digest.reasons.length ? card("Reasons", el("small.dim", "the last of each kind; click for all of it"), el("div.reasons", digest.reasons.map((row) => filterLink({reason: row.reason, status: row.status},
      [el("span.reason-count", whole(row.count)), el("span.reason-bar", el("i", {style: {width: 100 * row.count / most + "%", background: `var(${colourOf(row.status)})`}})), el("span.reason-text", row.said)], {class: "reason", title: row.reason})))) : null);
}

function tasks() {
  const s = digest.steps, training = digest.kind === "training";
  const rows = digest.families.map((row) => el("div.family", el("span.family-name", filterLink({level: row.level, task: row.family === "–" ? "" : row.family}, row.family), el("small", `level ${row.level} · ${counted(row.tasks, "task")} · ${counted(row.count, "kernel")}`)),
    training ? dumbbell(row) : intervalBar(row.rate, row.low, row.high, "--s-passed", 1, row.low === null ? percent(row.rate, 1) : `${percent(row.rate, 1)}, 95 % ${percent(row.low)} to ${percent(row.high)}`),
    el("b.family-rate", percent(training && row.late !== null ? row.late : row.rate))));
  let mix = null;
  if (s.level && Object.keys(s.level).length > 1) {
    const box = el("div.plot"), parts = Object.entries(s.level).map(([level, values], i) => ["level " + level, values, LEVELS[i % LEVELS.length]]);
    queue.push(() => stackPlot(box, s.step, parts, (x) => percent(x), {range: () => [0, 1], height: 170}));
    mix = card("Mix of levels", el("div.legend", parts.map(([name, , colour]) => el("span", el("i", {style: {background: `var(${colour})`}}), name))), box);
  }
  return section("tasks", "Tasks", el("div.grid",
    card("Correct, by family", el("small.dim", training ? "hollow: first third of the run · full: last third" : "with 95 % intervals"), el("div.families", rows)), el("div.column", mix, bestTable())));
}

function dumbbell(row) {
  const at = (x) => 100 * x + "%", known = [row.early, row.late].filter((x) => x !== null);
  const colour = `var(${known.length < 2 || row.late >= row.early ? "--s-passed" : "--s-wrong"})`, low = Math.min(...known);
  return el("span.dumbbell", {title: `first third ${percent(row.early, 1)}, last third ${percent(row.late, 1)}; all ${percent(row.rate, 1)}`},
    known.length === 2 ? el("i.line", {style: {left: at(low), width: at(Math.max(...known) - low), background: colour}}) : null,
    known.length ? null : el("i.dot.whole", {style: {left: at(row.rate)}}),
    row.early === null ? null : el("i.dot.hollow", {style: {left: at(row.early)}}), row.late === null ? null : el("i.dot", {style: {left: at(row.late), background: colour}}));
}

function bestTable() {
  const shown = 8, body = el("tbody");
  const line = (row) => el("tr", el("td", candidateLink(row.candidate, row.task), el("small", row.family)), el("td.num", el("b", times(row.speedup)), row.low !== null && row.low !== row.high ? el("small", `${times(row.low)} to ${times(row.high)}`) : null), el("td.num.dim", row.step >= 0 && digest.kind === "training" ? "step " + (row.step + 1) : ""));
  body.append(...digest.best.slice(0, shown).map(line));
  const more = digest.best.length > shown ? el("button.small", {type: "button", onclick: () => { body.append(...digest.best.slice(shown).map(line)); more.remove(); }}, `all ${digest.best.length}`) : null;
  if (!digest.best.length) return null;
  return card("Best kernel of each task", [guess()], el("div.tall", el("table.best", body)), more);
}

function time() {
  const wall = Object.entries(digest.time.wall), stages = Object.entries(digest.time.stages);
  const colours = {generation: "--time-1", verification: "--time-2", "optimiser and the rest": "--time-3", evaluation: "--time-4", pre_filter: "--time-1", check_correctness: "--time-2", measure_speed: "--time-3"};
  const names = {pre_filter: "filter", check_correctness: "compare", measure_speed: "time"};
  const sum = (parts) => parts.reduce((total, [, n]) => total + n, 0);
  const bar = (parts) => {
    const total = sum(parts);
    return el("div.strip", el("div.strip-bar", parts.map(([name, n]) => el("span.part", {title: `${name}: ${duration(n)}`, style: {"flex-grow": n, background: `var(${colours[name]})`}}))),
      el("div.legend", parts.map(([name, n]) => el("span", el("i", {style: {background: `var(${colours[name]})`}}), names[name] || name, el("b", duration(n)), el("small", percent(n / total))))));
  };
  let perStep = null;
  if (digest.time_steps.step) {
    const box = el("div.plot"), {step, ...parts} = digest.time_steps;
    queue.push(() => stackPlot(box, step, Object.entries(parts).map(([name, values]) => [name, values, colours[name]]), (x) => x + " s", {height: 150}));
    perStep = card("A step", el("small.dim", "seconds of wall time"), box);
  }
  if (!wall.length && !stages.length) return null;
  return section("time", "Where the time went", el("div.grid",
    el("div.column", wall.length ? card("The run", el("small.dim", duration(sum(wall)) + " in all"), bar(wall)) : null,
      stages.length ? card("Judging", el("small.dim", "summed over the workers"), bar(stages)) : null), perStep));
}

function setup() {
  const plugins = (digest.lock.plugins || []).map((plugin) => el("tr", el("td.name", el("b", plugin.name), el("small", `${plugin.distribution} ${plugin.version}`)), el("td.dim", Object.entries(plugin.options || {}).map(([k, v]) => `${k} ${JSON.stringify(v)}`).join(", "))));
  const run = "runs/" + digest.name;
  const commands = ["tritonrl report " + run, "tritonrl reverify " + run, `tritonrl export ${run} --task ${digest.best.length ? digest.best[0].task : "TASK"}`];
  const all = el("details.card", {ontoggle: drawMetrics}, el("summary", "Every figure that was logged"), el("div.metrics"));
  return section("setup", "How it was made",
    Object.keys(digest.metrics).length ? all : null,
    el("div.grid", card("Plugins", el("small.dim", "later ones are asked first"), el("table.plugins", el("tbody", plugins))),
      card("On", null, el("table", el("tbody", [["speed", digest.made.device && `${digest.made.clock === "estimated" ? "estimated for" : "measured on"} ${digest.made.device.replace(" (not present)", "")}`], ["sandbox", digest.made.sandbox], ["this page", `${digest.made.by}, ${digest.made.on}; here with ${Object.entries(digest.made.versions).filter(([name]) => name !== "tritonrl-core").map((pair) => pair.join(" ")).join(", ")}`]].filter(([, v]) => v).map(([k, v]) => el("tr", el("td.name", k), el("td.dim", v))))),
        el("pre.commands", commands.join("\n")))),
    el("details.card", el("summary", "The preset, resolved"), codeBlock(digest.yaml, YAML)));
}

// Small charts of all logged figures, drawn when they are asked for.
function drawMetrics(event) {
  const box = event.target.querySelector(".metrics");
  if (!event.target.open || box.childElementCount) return;
  for (const [stage, columns] of Object.entries(digest.metrics)) {
    const {step, ...figures} = columns;
    for (const name of Object.keys(figures).sort()) {
      const plot = el("div.plot"), out = el("small.dim");
      box.append(el("div.mini", el("div.mini-head", el("span", `${stage} / ${name}`), out), plot));
      const read = (i) => { out.textContent = figure(figures[name][i ?? step.length - 1]); };
      read();
      bandPlot(plot, step, {value: figures[name], low: [], high: []}, "--accent", figure, {height: 96, read, range: (low, high) => low === high ? [low - 1, high + 1] : [low - (high - low) * 0.05, high + (high - low) * 0.05]});
    }
  }
}
