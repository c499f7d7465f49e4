"use strict";
// All words come from the data block and are put in as text, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const rows = [...document.querySelectorAll(".row")];
const panel = document.getElementById("panel");
const both = document.getElementById("both");
const map = document.getElementById("map");
const view = document.getElementById("view");
let at = -1;

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function side(name, step, words) {
  const box = element("div");
  if (!step) {
    box.append(element("h3", name), element("p", "no such step here", "dim"));
    return box;
  }
  box.append(element("h3", `${name} · step ${step.number} · ${step.type}${step.failed ? " · failed" : ""}`));
  const facts = element("div", undefined, "facts");
  facts.append(element("code", step.hash), element("br"), step.facts, element("br"));
  facts.append(element("code", `tapes show ${step.ref}`), " · ", element("code", `tapes checkout ${step.ref}`));
  const text = element("pre");
  if (words) {
    for (const [sign, piece] of words) {
      if (sign === " ") text.append(piece);
      else if (sign === "-" && name === "A") text.append(element("del", piece));
      else if (sign === "+" && name === "B") text.append(element("ins", piece));
    }
  } else {
    text.textContent = step.text;
  }
  box.append(facts, text);
  if (step.more) box.append(element("p", `… ${step.more} more characters: tapes show ${step.ref}`, "dim"));
  return box;
}

function open() {
  if (at < 0) return;
  const row = data.rows[at];
  document.getElementById("title").textContent = row.title;
  both.replaceChildren(side("A", row.a, row.words), side("B", row.b, row.words));
  both.scrollTop = 0;
  panel.classList.remove("hidden");
}

function unfold(n) {
  const group = rows[n].dataset.fold;
  if (group) toggle(group, true);
}

function toggle(group, shown) {
  for (const row of document.querySelectorAll(`.row[data-fold="${CSS.escape(group)}"]`)) row.classList.toggle("hidden", !shown);
  const bar = document.querySelector(`.fold[data-of="${CSS.escape(group)}"]`);
  bar.setAttribute("aria-expanded", String(shown));
  bar.textContent = (shown ? "▾ " : "▸ ") + bar.dataset.text;
  soon();
}

function go(n, opening) {
  if (n < 0 || n >= rows.length) return;
  if (at >= 0) rows[at].classList.remove("at");
  at = n;
  unfold(n);
  rows[n].classList.add("at");
  rows[n].scrollIntoView({ block: "center" });
  if (opening || !panel.classList.contains("hidden")) open();
}

function step(by, wanted) {
  for (let n = at + by; n >= 0 && n < rows.length; n += by) {
    if (wanted(rows[n])) return go(n, false);
  }
}

const differs = (row) => !row.classList.contains("same");
const visible = (row) => !row.classList.contains("hidden");

function all() {
  const bars = [...document.querySelectorAll(".fold")];
  const shown = bars.some((bar) => bar.getAttribute("aria-expanded") !== "true");
  for (const bar of bars) toggle(bar.dataset.of, shown);
}

const KEYS = {
  n: () => step(1, differs), p: () => step(-1, differs), j: () => step(1, visible), k: () => step(-1, visible),
  ArrowDown: () => step(1, visible), ArrowUp: () => step(-1, visible), Enter: open, o: open, f: all,
  Escape: () => panel.classList.add("hidden"), g: () => go(0, false), G: () => go(rows.length - 1, false),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" && event.target.closest("button, summary")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
document.addEventListener("click", (event) => {
  const bar = event.target.closest(".fold");
  if (bar) return toggle(bar.dataset.of, bar.getAttribute("aria-expanded") !== "true");
  const act = event.target.closest("[data-key]");
  if (act) return KEYS[act.dataset.key]();
  const row = event.target.closest(".row");
  if (row && !String(getSelection())) go(rows.indexOf(row), true);
});

let waiting = 0;
function soon() {
  if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; drawMap(); });
}

function drawMap() {
  const height = document.documentElement.scrollHeight;
  const room = map.clientHeight;
  // All is measured before anything is drawn: else each mark would have the page laid out anew.
  const places = rows.filter((row) => differs(row) && visible(row)).map((row) => [row, row.getBoundingClientRect()]);
  const marks = places.map(([row, box]) => {
    const mark = element("i", undefined, data.kinds[row.dataset.n]);
    mark.style.top = `${((box.top + scrollY) / height) * room}px`;
    mark.style.height = `${Math.max(2, (box.height / height) * room)}px`;
    return mark;
  });
  map.replaceChildren(...marks, view);
  drawView();
}

function drawView() {
  const height = document.documentElement.scrollHeight;
  view.style.top = `${(scrollY / height) * 100}%`;
  view.style.height = `${(innerHeight / height) * 100}%`;
}

function jump(event) {
  const box = map.getBoundingClientRect();
  scrollTo({ top: ((event.clientY - box.top) / box.height) * document.documentElement.scrollHeight - innerHeight / 2 });
}
map.addEventListener("pointerdown", (event) => { map.setPointerCapture(event.pointerId); jump(event); });
map.addEventListener("pointermove", (event) => { if (event.buttons) jump(event); });
addEventListener("scroll", drawView, { passive: true });
addEventListener("resize", soon);
for (const part of document.querySelectorAll("details")) part.addEventListener("toggle", soon);
drawMap();
if (location.hash === "#first") step(1, differs);
