"use strict";
// Data that lies in this page: the digest as JSON, rows and texts as gzip in base64.

const $ = (id) => document.getElementById(id);
const digest = JSON.parse($("digest").textContent);

async function unpack(id) {
  const coded = atob($(id).textContent);
  const bytes = new Uint8Array(coded.length);
  for (let i = 0; i < coded.length; i++) bytes[i] = coded.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const opened = new Map();

// The text of a candidate: everything that its row does not say. Null where it did not fit into the page.
async function textOf(rows, number) {
  const place = rows.text[number];
  if (place < 0) return null;
  const block = Math.floor(place / rows.block);
  if (!opened.has(block)) opened.set(block, unpack("block" + block));
  return (await opened.get(block))[place % rows.block];
}

// An element: el("p.note", {title: "…"}, "text", child, …). Text is never read as HTML.
function el(what, ...rest) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const part of rest.flat(9)) {
    if (part === null || part === undefined || part === false) continue;
    if (part instanceof Node || typeof part !== "object") { node.append(part); continue; }
    for (const [key, value] of Object.entries(part)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (key === "style") for (const [name, v] of Object.entries(value)) node.style.setProperty(name, v);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
    }
  }
  return node;
}

const percent = (x, digits = 0) => x === null || x === undefined ? "–" : !digits && x > 0 && x < 0.005 ? "<1 %" : (100 * x).toFixed(digits) + " %";
const times = (x) => x === null || x === undefined ? "–" : (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2)) + "×";
const whole = (x) => Number(x).toLocaleString("en-US").replace(/,/g, "\u202f");
const counted = (n, what) => whole(n) + " " + what + (n === 1 ? "" : "s");

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.01) return (1000 * seconds).toFixed(1) + " ms";
  if (seconds < 1) return (1000 * seconds).toFixed(0) + " ms";
  if (seconds < 90) return seconds.toFixed(seconds < 10 ? 1 : 0) + " s";
  const whole = Math.round(seconds), minutes = Math.round(seconds / 60);
  if (whole < 5400) return Math.floor(whole / 60) + " min " + whole % 60 + " s";
  return Math.floor(minutes / 60) + " h " + minutes % 60 + " min";
}

function figure(x) {
  if (x === null || x === undefined) return "–";
  if (typeof x !== "number") return String(x);
  if (Number.isInteger(x)) return whole(x);
  return Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3 ? x.toExponential(2) : String(Number(x.toPrecision(4)));
}

const statusClass = (name) => "s-" + name.toLowerCase().replace("_", "-");
const statusName = (name) => name.toLowerCase().replace("_", " ");
const badge = (name) => el("span.badge." + statusClass(name), {title: MEANING[name]}, statusName(name));

// What a status says, for a reader who meets it here first.
const MEANING = {
  PASSED: "right on every input that was tried",
  WRONG: "it ran, and its output differs from the reference by more than is allowed",
  RUNTIME_ERROR: "it ran into an error, or reached outside its tensors",
  TIMEOUT: "it did not end in time",
  BUILD_ERROR: "it does not compile",
  REJECTED: "it breaks a rule of the task, or holds no kernel",
  CHEATED: "its result is not its kernels' own work on these inputs",
  UNSUPPORTED: "not found wrong, but beyond what the verifier can judge",
  INFRA: "a fault of ours; it counts neither way",
};
