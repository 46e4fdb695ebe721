"use strict";
// Builds the page, and follows addresses, keys and the theme.

const queue = [];  // plots wait until their boxes are in the page

const SECTIONS = {learning: "Learning", rejected: "Rejected", tasks: "Tasks", time: "Time", candidates: "Candidates", setup: "Setup"};
const THEMES = ["auto", "light", "dark"], SIGNS = {auto: "◐", light: "☀", dark: "☾"};

function build() {
  $("run-name").textContent = digest.name;
  const parts = [hero, learning, rejected, tasks, time, browser, setup].map((make) => make()).filter(Boolean);
  $("main").replaceChildren(...parts);
  $("nav").append(...Object.entries(SECTIONS).filter(([id]) => $(id)).map(([id, name]) => el("a", {href: "#" + id}, id === "learning" && digest.kind === "evaluation" ? "Figures" : name)));
  $("foot").append(`Made by ${digest.made.by} on ${digest.made.on}. `, "This page loads nothing from anywhere.");
  queue.splice(0).forEach((draw) => draw());
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = SIGNS[name];
  try { localStorage.setItem("tritonrl-theme", name); } catch { /* a file page may have no storage */ }
  redrawAll();
}

function savedTheme() {
  try { return THEMES.includes(localStorage.getItem("tritonrl-theme")) ? localStorage.getItem("tritonrl-theme") : "auto"; }
  catch { return "auto"; }
}

document.documentElement.dataset.theme = savedTheme();
$("theme").textContent = SIGNS[savedTheme()];
build();
$("theme").addEventListener("click", () => theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
addEventListener("hashchange", fromAddress);
addEventListener("resize", drawRows);
addEventListener("keydown", (event) => {
  if ($("sheet").hidden || event.target.matches("input, select")) return;
  if (event.key === "Escape") leave();
  const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  const next = step && matching[matching.indexOf(shownCandidate) + step];
  if (step && next !== undefined && !event.target.closest("pre")) location.replace("#c=" + next);
});
$("sheet").addEventListener("click", (event) => { if (event.target === $("sheet")) leave(); });
addEventListener("DOMContentLoaded", () => openRows().catch((error) => {
  count.textContent = "The candidates need a browser with DecompressionStream (all since 2023).";
  throw error;
}));
