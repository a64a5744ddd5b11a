// @ts-check
// The windowed table: a real <table> of fixed layout with only the rows in sight (about 40), two spacer rows and
// aria-rowcount/rowindex for the rest. A row is rebuilt when its data, its marks or its place in the group
// changed; else the same <tr> stays, so 20 updates a second cost little and nothing moves under the eye.
import { day, el, moment, say, svg, time } from "./shell.js";

const MARGIN_ROWS = 8; // rendered beyond the edges, so that a fast wheel shows no gap
const TREND = { width: 52, height: 20, pad: 3 };
/** Symbol, and the letters that stand beside it: never colour alone. */
export const FLAG_SYMBOLS = { H: "▲", L: "▼", HH: "▲▲", LL: "▼▼", A: "◆", AA: "◆◆" };

/**
 * One row as `lis.results.reads` makes it: codes and parameters, words are made here.
 * @typedef {{id: number, row_version: number, shown_hash: string, lane: string, bench_state: string, test: string, test_name: string,
 *   specimen: {id: number | null, accession: string, text: string, type: string, collected_at: string | null, certainty: string},
 *   patient: null | {family: string, given: string, middle: string, sex: string, birth_date: string, age: null | {count: number, unit: string}},
 *   value: string, reported: string, unit: string, flag: string, interval: string, interval_reason: string, section: string,
 *   previous: null | {value: string, at: string, delta_percent: string | null}, history: {at: string, value: string, number: number | null}[],
 *   device: string, qc: string, holds: {code: string, rule: string, parameters: Record<string, string>}[], analysed_at: string | null,
 *   supplements: {code: string, name: string, value: string, unit: string, flags: string[]}[],
 *   instrument_flags: string[], comment: string, priority: string, ward: string, validator: string, is_chosen: boolean}} Row
 */

const WAITING = new Set(["received", "held", "technically_verified"]);
/** @param {Row} row */
export const isWaiting = (row) => WAITING.has(row.bench_state);
/** The number on the tube, or what the instrument sent instead. @param {Row} row */
export const tube = (row) => row.specimen.accession || row.specimen.text;
/** @param {Row} row */
export const codes = (row) => row.holds.map((hold) => hold.code);

/** Family name and initials, or everything. @param {Row} row @param {boolean} [isFull] */
export function nameOf(row, isFull = false) {
  if (!row.patient) { return ""; }
  const others = [row.patient.given, row.patient.middle].filter(Boolean);
  return [row.patient.family, ...(isFull ? others : others.map((name) => `${name[0]}.`))].join(" ");
}

/** A birth date (YYYY, YYYY-MM or YYYY-MM-DD) as people write it here. @param {string} text */
export const birthday = (text) => text.split("-").reverse().join(".");

/** Sex and birth date as one short text. @param {Row} row */
export const born = (row) => (row.patient ? [say(`worklist.sex.${row.patient.sex}`), birthday(row.patient.birth_date)].filter(Boolean).join(" ") : "");

/** Sex and age at collection, for the table; the birth date stands in the panel. @param {Row} row */
const aged = (row) => (row.patient ? [say(`worklist.sex.${row.patient.sex}`), row.patient.age && say(`worklist.age_short.${row.patient.age.unit}`, row.patient.age)].filter(Boolean).join(" ") : "");

const YEAR_MS = 330 * 86400000;
/** Day and month, or month and year when it is long ago. @param {string} iso */
const recent = (iso) => (Date.now() - Date.parse(iso) < YEAR_MS ? day(iso).slice(0, 5) : day(iso).slice(3));

/** Limits of an interval from its text ("3.9–6.1", "< 5", "> 60"). @param {string} text */
export function limitsOf(text) {
  const [both, above, below] = [/^([\d.]+)\s*[–-]\s*([\d.]+)$/, /^[>≥]\s*([\d.]+)$/, /^[<≤]\s*([\d.]+)$/].map((form) => form.exec(text));
  return { low: both ? Number(both[1]) : above ? Number(above[1]) : null, high: both ? Number(both[2]) : below ? Number(below[1]) : null };
}

/** The value as a number for pictures only. @param {string} text */
export function numberOf(text) {
  const number = Number(text.replace(/^[<>≤≥]=?/, ""));
  return text === "" || Number.isNaN(number) ? null : number;
}

/** @param {string} flag */
export function flagBadge(flag) {
  if (!flag) { return null; }
  const symbol = FLAG_SYMBOLS[/** @type {keyof typeof FLAG_SYMBOLS} */ (flag)] || "";
  return el("span", { class: `flag ${flag}`, title: say(`worklist.flag.${flag}`) }, `${symbol} ${flag}`.trim(), el("span", { class: "only-read" }, ` ${say(`worklist.flag.${flag}`)}`));
}

/** @param {Row} row */
export function statusChip(row) {
  if (row.bench_state === "released") { return el("span", {}, `✓ ${say("worklist.state.released")}`); }
  if (!isWaiting(row)) { return el("span", {}, `✗ ${say(`worklist.state.${row.bench_state}`)}`); }
  const reasons = codes(row);
  const first = reasons.find((code) => code !== "critical") ?? reasons[0];
  if (row.lane === "clear") { return el("span", { class: "chip ok" }, `✓ ${say("worklist.clear_chip")}`); }
  if (!first) { return el("span", { class: "chip check" }, say("worklist.lane.hold")); }
  const more = reasons.length > 1 ? ` +${reasons.length - 1}` : "";
  const all = reasons.map((code) => say(`results.reason_short.${code}`)).join(", ");
  return el("span", { class: `chip ${row.lane === "unmatched" ? "check" : "hold"}`, title: all }, say(`results.reason_short.${first}`) + more);
}

/** The last values, this one at the end, on the band of the interval. @param {Row} row */
function trend(row) {
  const points = [...row.history.slice(-6).map((one) => one.number), numberOf(row.value)].filter((value) => value !== null).map(Number);
  if (points.length < 2) { return null; }
  const limits = limitsOf(row.interval);
  const known = [...points, ...[limits.low, limits.high].filter((limit) => limit !== null).map(Number)];
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const inner = TREND.height - 2 * TREND.pad;
  const y = (/** @type {number} */ value) => TREND.pad + inner - ((value - low) / span) * inner;
  const step = (TREND.width - 8) / (points.length - 1);
  const path = points.map((value, index) => `${index ? "L" : "M"}${(4 + index * step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const picture = svg("svg", { class: "trend", viewBox: `0 0 ${TREND.width} ${TREND.height}`, "aria-hidden": "true" });
  if (limits.low !== null || limits.high !== null) {
    const top = limits.high === null ? 0 : y(limits.high);
    const bottom = limits.low === null ? TREND.height : y(limits.low);
    picture.append(svg("rect", { class: "band", x: 0, width: TREND.width, y: top.toFixed(1), height: Math.max(bottom - top, 1).toFixed(1) }));
  }
  const last = points[points.length - 1];
  picture.append(svg("path", { d: path }), svg("circle", { class: row.flag ? "out" : "", cx: TREND.width - 4, cy: y(last).toFixed(1), r: 2.2 }));
  return picture;
}

export class Table {
  /**
   * @param {{scroll: HTMLElement, table: HTMLTableElement, onpick: (index: number) => void, onselect: (index: number) => void}} parts
   */
  constructor({ scroll, table, onpick, onselect }) {
    this.scroll = scroll;
    this.table = table;
    this.body = table.tBodies[0];
    /** @type {Row[]} */
    this.rows = [];
    this.cursor = 0;
    /** @type {Set<number>} */
    this.selected = new Set();
    /** @type {Set<number>} */
    this.changed = new Set();
    /** @type {Map<number, {tr: HTMLElement, key: string}>} */
    this.drawn = new Map();
    this.above = this.spacer();
    this.below = this.spacer();
    this.rowHeight = 28;
    scroll.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()), { passive: true });
    new ResizeObserver(() => this.draw()).observe(scroll);
    window.addEventListener("beforeprint", () => this.draw(true));
    window.addEventListener("afterprint", () => this.draw());
    this.body.addEventListener("click", (event) => {
      const target = event.target instanceof Element ? event.target : null;
      const index = Number(target?.closest("tr")?.getAttribute("aria-rowindex")) - 2;
      if (index >= 0) { if (target?.matches("input")) { onselect(index); } else { onpick(index); } }
    });
  }

  spacer() {
    return el("tr", { class: "spacer", "aria-hidden": "true" }, el("td", { colspan: this.table.tHead?.rows[0].cells.length }));
  }

  /** Draw the rows in sight. @param {boolean} [all] for paper */
  draw(all = false) {
    const height = this.rowHeight;
    const first = all ? 0 : Math.max(0, Math.floor(this.scroll.scrollTop / height) - MARGIN_ROWS);
    const last = all ? this.rows.length : Math.min(this.rows.length, Math.ceil((this.scroll.scrollTop + this.scroll.clientHeight) / height) + MARGIN_ROWS);
    const keep = new Map();
    const nodes = [];
    for (let index = first; index < last; index += 1) {
      const row = this.rows[index];
      const key = this.keyOf(row, index);
      const old = this.drawn.get(row.id);
      const drawn = old?.key === key ? old : { tr: this.build(row, index), key };
      keep.set(row.id, drawn);
      nodes.push(drawn.tr);
    }
    this.drawn = keep;
    this.above.firstElementChild?.setAttribute("height", String(first * height));
    this.below.firstElementChild?.setAttribute("height", String((this.rows.length - last) * height));
    /** @type {HTMLElement} */ (this.above.firstElementChild).style.height = `${first * height}px`;
    /** @type {HTMLElement} */ (this.below.firstElementChild).style.height = `${(this.rows.length - last) * height}px`;
    this.body.replaceChildren(this.above, ...nodes, this.below);
    this.table.setAttribute("aria-rowcount", String(this.rows.length + 1));
    const current = this.rows[this.cursor];
    if (current && keep.has(current.id)) { this.table.setAttribute("aria-activedescendant", `row-${current.id}`); } else { this.table.removeAttribute("aria-activedescendant"); }
    const measured = nodes[0]?.getBoundingClientRect().height;
    if (measured && Math.abs(measured - height) > 0.5) { this.rowHeight = measured; this.draw(all); }
  }

  /** Everything a drawn row depends on. @param {Row} row @param {number} index */
  keyOf(row, index) {
    return [row.row_version, row.bench_state, index, this.isFirst(index), index === this.cursor, this.selected.has(row.id), this.changed.has(row.id)].join();
  }

  /** Whether the row begins a specimen. @param {number} index */
  isFirst(index) {
    return index === 0 || tube(this.rows[index - 1]) !== tube(this.rows[index]);
  }

  /** @param {Row} row @param {number} index */
  build(row, index) {
    const isFirst = this.isFirst(index);
    const isDone = !isWaiting(row);
    const marks = [isFirst && "first", index === this.cursor && "cursor", this.selected.has(row.id) && "selected", isDone && "done", this.changed.has(row.id) && "changed"];
    const once = (/** @type {(Node | string | null)[]} */ ...content) => (isFirst ? content : [el("span", { class: "only-read" }, ...content)]);
    const cell = (/** @type {string} */ name, /** @type {(Node | string | null)[]} */ ...content) => el("td", { class: `c-${name}` }, ...content);
    const change = row.previous?.delta_percent ? Math.round(Number(row.previous.delta_percent)) : null;
    const delta = change === null ? "" : `${change > 0 ? "+" : ""}${change}\u202f%`.replace("-", "−");
    const qc = say(`worklist.qc.${row.qc}`);
    const tr = el("tr", { id: `row-${row.id}`, class: marks.filter(Boolean).join(" "), "aria-rowindex": index + 2, "aria-selected": this.selected.has(row.id) ? "true" : "false" },
      cell("select", el("input", { type: "checkbox", tabindex: -1, checked: this.selected.has(row.id), disabled: isDone, "aria-label": say("worklist.select_row", { test: row.test_name, specimen: tube(row) }) })),
      cell("specimen", ...once(tube(row) || "—")),
      cell("patient", ...once(nameOf(row) || el("span", { class: "born" }, say("worklist.no_patient")), row.patient ? el("span", { class: "born" }, aged(row)) : null)),
      cell("test", row.test_name),
      cell("value", row.value),
      cell("flag", flagBadge(row.flag)),
      cell("unit", row.unit),
      cell("interval", row.interval),
      cell("previous", row.previous?.value ?? "", row.previous ? el("span", { class: "when" }, recent(row.previous.at)) : null),
      cell("delta", delta),
      cell("trend", trend(row)),
      cell("device", row.device),
      cell("qc", el("span", { class: `qc ${row.qc}`, role: "img", "aria-label": qc, title: qc })),
      cell("time", time(row.analysed_at)),
      cell("status", row.priority === "S" && isFirst ? el("span", { class: "stat" }, say("worklist.stat")) : null, statusChip(row)));
    if (codes(row).includes("delta")) { tr.querySelector(".c-delta")?.classList.add("big"); }
    tr.querySelector(".c-patient")?.setAttribute("title", `${nameOf(row, true)} ${born(row)}`.trim());
    tr.querySelector(".c-test")?.setAttribute("title", row.test_name);
    tr.querySelector(".c-time")?.setAttribute("title", moment(row.analysed_at));
    return tr;
  }

  /** Bring the cursor row into sight, with a little of what comes next. */
  reveal() {
    const head = this.table.tHead?.offsetHeight || 0;
    const top = this.cursor * this.rowHeight;
    const room = this.scroll.clientHeight - head;
    if (top < this.scroll.scrollTop + this.rowHeight) {
      this.scroll.scrollTop = Math.max(0, top - this.rowHeight);
    } else if (top + 2 * this.rowHeight > this.scroll.scrollTop + room) {
      this.scroll.scrollTop = top + 2 * this.rowHeight - room;
    }
    this.draw();
  }
}
