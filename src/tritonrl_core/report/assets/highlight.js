"use strict";
// Python and YAML in colour: one pass of one expression, each token a span. It needs no library, because code that
// does not parse must be shown as well.

const PYTHON = new RegExp([
  /(?<comment>#[^\n]*)/, /(?<string>[rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))/,
  /(?<decorator>@[\w.]+)/,
  /(?<keyword>\b(?:and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield|None|True|False)\b)/,
  /(?<triton>\b(?:tl|triton)\b(?:\.\w+)*)/, /(?<number>\b(?:0[xX][\da-fA-F_]+|\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?)\b)/,
  /(?<call>\b[A-Za-z_]\w*(?=\())/,
].map((part) => part.source).join("|"), "g");

const YAML = new RegExp([
  /(?<comment>#[^\n]*)/, /(?<key>^[ \t-]*[\w.]+(?=:))/, /(?<keyword>\b(?:true|false|null|auto)\b)/,
  /(?<number>(?<=[\s\[:,])-?\d[\d.]*(?:e[-+]?\d+)?\b)/, /(?<string>"[^"\n]*"|'[^'\n]*')/,
].map((part) => part.source).join("|"), "gm");

function highlighted(text, language) {
  const parts = [];
  let last = 0;
  for (const found of text.matchAll(language)) {
    if (!found[0]) continue;
    const kind = Object.keys(found.groups).find((name) => found.groups[name] !== undefined);
    if (found.index > last) parts.push(text.slice(last, found.index));
    parts.push(el("span.t-" + kind, found[0]));
    last = found.index + found[0].length;
  }
  parts.push(text.slice(last));
  return parts;
}

// Code with line numbers; `marked` is a line to show at once (1 is the first).
function codeBlock(text, language = PYTHON, marked = 0) {
  const clean = text.replace(/^\n+|\s+$/g, "");
  const shift = text.slice(0, text.length - text.replace(/^\n+/, "").length).length;
  const count = clean.split("\n").length;
  const numbers = Array.from({length: count}, (_, i) => el("span" + (i + 1 + shift === marked ? ".marked" : ""), String(i + 1 + shift)));
  return el("div.code", el("div.numbers", {"aria-hidden": "true"}, numbers),
    el("pre", {tabindex: "0"}, el("code", highlighted(clean, language))));
}

function copyButton(text) {
  const button = el("button.small", {type: "button", onclick: async () => {
    try { await navigator.clipboard.writeText(text); button.textContent = "copied"; }
    catch { button.textContent = "not allowed here"; }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }}, "copy");
  return button;
}
