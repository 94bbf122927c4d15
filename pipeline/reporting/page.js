"use strict";
/* The table of signals, and the chart of each row. All data are in the page: those of the table as JSON, each chart as
 * deflated JSON, which is unpacked when it is opened. Texts of the data only ever become text nodes. */

const report = JSON.parse(document.getElementById("report").textContent);
const form = document.getElementById("filters");
const main = document.querySelector("main");
const body = main.querySelector("tbody");
const dialog = document.querySelector("dialog");
/* Rows that are added at a time: a phone takes seconds for thousands. */
const PART = 200;

const rows = report.rows.map(([symbol, interval, start, price, change, words, before], place) => ({
  symbol, interval: report.intervals[interval], order: interval, start, price, change, words, place,
  before: new Map(before),
}));
const columns = report.columns.map((column, place) => ({ ...column, place }));
/* The choices of the filter by word, as they stand in its options. */
const choices = new Map();
/* The rows that pass the filters, in order; how many of them are in the table; the one whose chart is open. */
let view = [];
let shown = 0;
let open = null;
const dark = matchMedia("(prefers-color-scheme: dark)");

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// -- values as texts

const price = new Intl.NumberFormat("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 6 });
const percent = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero" });
const nameOf = (row) => `${row.symbol} ${row.interval.name}`;
const utc = (time) => `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;

function age(time) {
  const minutes = Math.floor((Date.now() - time) / 60000);
  if (minutes < 1) return "< 1 min";
  if (minutes < 100) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
}

/* A word, or a list of them, as text with the colour of its side. */
function worded(column, code) {
  const words = [code].flat().filter((one) => one !== null).map((one) => column.words[one]);
  const sides = new Set(words.map((word) => word.side));
  return element("span", { className: sides.size === 1 ? [...sides][0] : "" }, words.map((word) => word.text).join(", ") || "–");
}

/* Whether a row's newest bar had begun two bars before the run, or earlier. */
const late = (row) => report.asOf - row.start > 2 * row.interval.length;

// -- columns: what a cell holds, and by what it is sorted

function signal(column) {
  return {
    key: column.key, title: column.title, small: column.name, hint: column.meaning, column,
    by: (row) => [row.words[column.place]].flat()[0] ?? null,
    fill(cell, row) {
      cell.append(worded(column, row.words[column.place]));
      if (row.before.has(column.place)) {
        cell.classList.add("changed");
        cell.append(element("span", { className: "was" }, "was ", worded(column, row.before.get(column.place)).textContent));
      }
    },
  };
}

const fixed = [
  { key: "symbol", title: "Symbol", by: (row) => row.symbol,
    fill: (cell, row) => cell.append(element("button", { type: "button", title: row.symbol }, row.symbol)) },
  { key: "interval", title: "Interval", by: (row) => row.order, fill: (cell, row) => cell.append(row.interval.name) },
  { key: "price", title: "Close", number: true, by: (row) => row.price,
    fill: (cell, row) => cell.append(price.format(row.price)) },
  { key: "change", title: "Change %", hint: "of the close since the bar before", number: true, by: (row) => row.change,
    fill(cell, row) {
      cell.append(row.change === null ? "–" : percent.format(row.change));
      cell.classList.add(row.change > 0 ? "long" : row.change < 0 ? "short" : "even");
    } },
  { key: "age", title: "Age", hint: "since the newest bar began", number: true, by: (row) => -row.start,
    fill(cell, row) {
      cell.append(age(row.start));
      cell.title = `bar of ${utc(row.start)}`;
      if (late(row)) cell.append(element("span", { className: "late", title: "bars are missing up to the run" }, " late"));
    } },
  { key: "changes", title: "Changes", hint: "signals that differ from the bar before", number: true,
    by: (row) => row.before.size, fill: (cell, row) => cell.append(row.before.size || "–") },
];
const signals = columns.map(signal);
const all = [...fixed, ...signals];

/* The columns of the table, in order. */
function chosen() {
  const names = new Set(new FormData(form).getAll("column"));
  return [...fixed, ...signals.filter((one) => names.has(one.key))];
}

// -- filters and order

function passes(row, asked) {
  const word = choices.get(asked.get("word"));
  return row.symbol.toUpperCase().includes(asked.get("symbol").trim().toUpperCase())
    && (!asked.get("interval") || row.interval.name === asked.get("interval"))
    && (!word || [row.words[word.place]].flat().includes(word.code))
    && (!asked.get("changed") || (word ? row.before.has(word.place) : row.before.size > 0));
}

function inOrder(found, sort) {
  const column = all.find((one) => one.key === sort.replace(/^-/, ""));
  if (!column) return found;
  const sign = sort.startsWith("-") ? -1 : 1;
  const compared = (one, other) => {
    const [a, b] = [column.by(one), column.by(other)];
    /* What has no value stands last either way. */
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (a < b ? -1 : a > b ? 1 : 0);
  };
  return found.sort((one, other) => compared(one, other) || one.place - other.place);
}

/* Let the address say what the form says, and which row is open: a bookmark or a reload finds it again. */
function remember() {
  const asked = new FormData(form);
  const kept = new URLSearchParams([...asked].filter(([name, value]) => value && name !== "column"));
  const names = asked.getAll("column").join();
  if (names !== usual) kept.set("columns", names);
  if (open) kept.set("row", nameOf(open));
  history.replaceState(null, "", `#${kept}`);
}

/* Filter and sort by what the form says. */
function apply() {
  const asked = new FormData(form);
  view = inOrder(rows.filter((row) => passes(row, asked)), asked.get("sort"));
  document.getElementById("count").value = `${view.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`;
  remember();
  draw();
}

function draw() {
  const sort = form.elements.sort.value;
  body.closest("table").tHead.rows[0].replaceChildren(...chosen().map((column) => {
    const button = element("button", { type: "button", title: column.hint ?? "" }, column.title);
    if (column.small) button.append(element("small", {}, column.small));
    button.onclick = () => {
      form.elements.sort.value = sort === column.key ? `-${column.key}` : column.key;
      apply();
      body.closest("table").querySelector("[aria-sort] button").focus();
    };
    const head = element("th", { scope: "col", className: column.number ? "number" : "" }, button);
    if (sort.replace(/^-/, "") === column.key) head.ariaSort = sort.startsWith("-") ? "descending" : "ascending";
    return head;
  }));
  body.replaceChildren();
  shown = 0;
  main.scrollTop = 0;
  more();
}

function more() {
  const shownColumns = chosen();
  const part = view.slice(shown, shown + PART);
  body.append(...part.map((row) => {
    const line = element("tr");
    line.onclick = () => show(row);
    for (const column of shownColumns) {
      const cell = element(column.key === "symbol" ? "th" : "td", { className: column.number ? "number" : "" });
      if (column.key === "symbol") cell.scope = "row";
      column.fill(cell, row);
      line.append(cell);
    }
    return line;
  }));
  shown += part.length;
  document.getElementById("end").textContent = view.length ? (shown < view.length ? "…" : "") : "No row passes these filters.";
}

// -- a row's chart and all its words

const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/* A trace with its numbers, which stand there in single precision; what is no number is null. */
function withNumbers(trace) {
  const plain = ([name, value]) => [name, value?.f4 === undefined ? value
    : Array.from(new Float32Array(bytesOf(value.f4).buffer), (one) => (Number.isNaN(one) ? null : Number(one.toPrecision(7))))];
  return Object.fromEntries(Object.entries(trace).map(plain));
}

async function figureOf(row) {
  const packed = bytesOf(document.getElementById(`chart-${row.place}`).textContent);
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const figure = await new Response(plain).json();
  return { ...figure, data: figure.data.map(withNumbers) };
}

async function show(row) {
  open = row;
  remember();
  document.getElementById("series").textContent = nameOf(row);
  document.getElementById("words").replaceChildren(...columns.filter((column) => row.words[column.place] !== null).map((column) => {
    const before = row.before.has(column.place) ? worded(column, row.before.get(column.place)) : "";
    const line = element("tr", { title: column.meaning }, element("td", {}, column.title), element("td", {}, column.name),
      element("td", { className: before && "changed" }, worded(column, row.words[column.place])), element("td", {}, before));
    return line;
  }));
  const place = view.indexOf(row);
  document.getElementById("previous").disabled = place <= 0;
  document.getElementById("next").disabled = place < 0 || place === view.length - 1;
  if (!dialog.open) dialog.showModal();
  const figure = await figureOf(row);
  /* Another one may have been opened, or this one closed, meanwhile. */
  if (open === row) drawChart(figure);
}

function drawChart(figure) {
  const { close, change, rising, bar, time } = figure.head;
  const side = rising ? "long" : "short";
  document.getElementById("bar").replaceChildren(element("span", { className: side }, `${close}  ${change}`),
    ...[bar, time].map((text) => element("span", {}, text)));
  document.getElementById("notes").replaceChildren(...figure.notes.map((note) => element("p", {}, note)));
  const theme = report.theme ?? (dark.matches ? "dark" : "light");
  candlemill.draw(document.getElementById("chart"), figure, theme);
}

function step(by) {
  const row = view[view.indexOf(open) + by];
  if (row) show(row);
}

// -- the beginning

function option(parent, value, text) {
  parent.append(element("option", { value }, text));
}

for (const interval of report.intervals) option(form.elements.interval, interval.name, interval.name);
for (const column of columns) {
  const counts = new Map();
  for (const row of rows) for (const code of [row.words[column.place]].flat()) if (code !== null) counts.set(code, (counts.get(code) ?? 0) + 1);
  const group = element("optgroup", { label: `${column.title}, ${column.name}` });
  for (const code of [...counts.keys()].sort((one, other) => one - other)) {
    const value = `${column.key}=${column.words[code].text}`;
    choices.set(value, { place: column.place, code });
    option(group, value, `${column.words[code].text} (${counts.get(code)})`);
  }
  if (counts.size) form.elements.word.append(group);
  document.querySelector("#columns div").append(element("label", { title: column.meaning },
    element("input", { type: "checkbox", name: "column", value: column.key, defaultChecked: column.shown }), ` ${column.title}, ${column.name}`));
}
const usual = new FormData(form).getAll("column").join();

const kept = new URLSearchParams(location.hash.slice(1));
for (const name of ["symbol", "interval", "word", "sort"]) form.elements[name].value = kept.get(name) ?? "";
form.elements.changed.checked = kept.has("changed");
if (kept.has("columns")) {
  const names = kept.get("columns").split(",");
  for (const box of form.querySelectorAll("[name=column]")) box.checked = names.includes(box.value);
}

function tell() {
  const changes = rows.reduce((sum, row) => sum + row.before.size, 0);
  document.getElementById("about").textContent = [
    `${report.demo ? "invented prices of the demo, " : ""}as of ${utc(report.asOf)}, ${age(report.asOf)} ago`,
    report.changes ? `${changes.toLocaleString("en")} signals changed at the newest bars` : "what changed is not known",
  ].join(" · ");
}

dark.onchange = () => open && show(open);
form.oninput = apply;
form.onsubmit = (event) => event.preventDefault();
form.onreset = () => {
  form.elements.sort.value = "";
  setTimeout(apply);
};
document.getElementById("previous").onclick = () => step(-1);
document.getElementById("next").onclick = () => step(1);
document.getElementById("close").onclick = () => dialog.close();
dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
dialog.onkeydown = (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
};
dialog.onclose = () => {
  open = null;
  remember();
  Plotly.purge("chart");
};
new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting) && shown < view.length) more(); }, { root: main, rootMargin: "600px" })
  .observe(document.getElementById("end"));
setInterval(tell, 60000);
tell();
apply();
const asked = rows.find((row) => nameOf(row) === kept.get("row"));
if (asked) show(asked);
