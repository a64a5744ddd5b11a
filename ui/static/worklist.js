// @ts-check
// The validation worklist: what waits, in the order in which people should look, decided with the keyboard.
//
// The rules of this screen (safety.md S07, S08):
// - nothing moves under the cursor: new rows wait behind a button, decided rows turn grey until the filter is
//   applied again;
// - every decision carries the id, version and hash that were on the screen; the server refuses anything else, and
//   then the fresh row is shown and said;
// - one key press decides one row: a key that is held down repeats nothing;
// - in bulk go exactly the listed rows, and only those of the CLEAR lane.
import { Problem, ask, el, expectsPlace, follow, isTyping, knows, moment, say, toast } from "./shell.js";
import { drawPanel } from "./worklist_panel.js";
import { Table, codes, flagBadge, isWaiting, nameOf, tube } from "./worklist_table.js";

/** @typedef {import("./worklist_table.js").Row} Row */
const LANES = ["critical", "unmatched", "hold", "clear"];
const LANE_MARKS = /** @type {Record<string, string>} */ ({ critical: "■", unmatched: "?", hold: "●", clear: "✓" });
const PAGE_ROWS = 500;
const ROWS_MAX = 5000; // more than anybody works through; the rest comes when these are done
const UNDO_SECONDS = 5;
const DETAIL_DELAY_MS = 60; // a held arrow key asks only for the row it stops on
const MINE_MS = 3000; // the live channel tells me what I did, perhaps before the answer does
const SCAN_GAP_MS = 70; // a scanner types faster than any person, also on a busy machine
const SCAN_DIGITS_MIN = 6;
const ABOVE = new Set(["outside_measuring_range", "censored"]); // too little to dilute: reported as above the limit

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const filter = /** @type {HTMLInputElement} */ (byId("filter"));
const panel = byId("panel");
const state = byId("state");
const main = byId("main");

/** @type {Map<number, Row>} everything that waits, as far as this screen knows */
const known = new Map();
/** @type {Set<number>} arrived, not shown yet */
const arrived = new Set();
let lane = "";
let reason = "";
/** @type {any} */
let detail = null;
/** @type {HTMLElement | null} */
let form = null;
let problem = "";
/** @type {Set<number>} decided here a moment ago: their news is no news */
const mine = new Set();
/** @type {number[]} what the last decision verified: U takes it back */
let undoable = [];
let removeUndo = () => {};

const table = new Table({
  scroll: byId("scroll"),
  table: /** @type {HTMLTableElement} */ (byId("rows")),
  onpick: (index) => { moveTo(index); },
  onselect: (index) => { moveTo(index); select(); },
});
const current = () => table.rows[table.cursor];
/** What a decision carries (S07). @param {Row} row */
function shown(row) {
  mine.add(row.id);
  setTimeout(() => mine.delete(row.id), MINE_MS);
  return { id: row.id, version: row.row_version, hash: row.shown_hash };
}

// --- what is shown ----------------------------------------------------------------------------------------

/** @param {Row} row */
function matches(row) {
  const words = filter.value.trim().toLowerCase().split(/\s+/);
  const text = `${tube(row)} ${nameOf(row, true)} ${row.test_name} ${row.test} ${row.device}`.toLowerCase();
  return isWaiting(row) && (!lane || row.lane === lane) && (!reason || codes(row).includes(reason)) && words.every((word) => text.includes(word));
}

/** Lanes first, then urgent, then arrival; the rows of one tube stand together. @param {Row[]} rows */
function sorted(rows) {
  const rank = (/** @type {Row} */ row) => (row.lane === "critical" ? 0 : row.priority === "S" ? 1 : LANES.indexOf(row.lane) + 1);
  /** @type {Map<string, [number, number]>} */
  const best = new Map();
  for (const row of rows) {
    const at = best.get(tube(row));
    best.set(tube(row), at ? [Math.min(at[0], rank(row)), Math.min(at[1], row.id)] : [rank(row), row.id]);
  }
  const of = (/** @type {Row} */ row) => /** @type {[number, number]} */ (best.get(tube(row)));
  return rows.sort((a, b) => of(a)[0] - of(b)[0] || of(a)[1] - of(b)[1] || tube(a).localeCompare(tube(b)) || LANES.indexOf(a.lane) - LANES.indexOf(b.lane) || a.id - b.id);
}

/** Apply the filter again: only here rows come, go and move. @param {number} [keep] the row to stay on */
function apply(keep = current()?.id) {
  arrived.clear();
  for (const row of known.values()) { if (!isWaiting(row)) { known.delete(row.id); } }
  table.rows = sorted([...known.values()].filter(matches));
  table.selected.clear();
  table.changed.clear();
  const at = table.rows.findIndex((row) => row.id === keep);
  table.cursor = Math.max(0, at);
  drawChips();
  state.hidden = table.rows.length > 0;
  if (!table.rows.length) { showEmpty(); }
  moveTo(table.cursor);
}

function showEmpty() {
  const isFiltered = known.size > 0;
  state.replaceChildren(el("strong", {}, say(isFiltered ? "worklist.empty_filtered" : "worklist.empty")), say(isFiltered ? "worklist.empty_filtered_hint" : "worklist.empty_hint"));
}

function drawChips() {
  const waiting = [...known.values()].filter(isWaiting);
  const chip = (/** @type {string} */ one, /** @type {number} */ count) => el("button", { type: "button", class: `lane ${one || "all"}`, "aria-pressed": String(lane === one), onclick: () => { lane = one; reason = ""; apply(); byId("rows").focus(); } },
    one ? el("span", { class: "mark", "aria-hidden": "true" }, LANE_MARKS[one]) : null, say(`worklist.lane.${one || "all"}`), " ", el("b", {}, String(count)));
  byId("lanes").replaceChildren(chip("", waiting.length), ...LANES.map((one) => chip(one, waiting.filter((row) => row.lane === one).length)));
  if (unreadable.length) { byId("lanes").append(el("button", { type: "button", class: "lane unmatched", onclick: showUnreadable }, el("span", { class: "mark", "aria-hidden": "true" }, "≠"), say("worklist.lane.unreadable"), " ", el("b", {}, String(unreadable.length)))); }
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const row of waiting) { if (!lane || row.lane === lane) { for (const code of codes(row)) { counts.set(code, (counts.get(code) || 0) + 1); } } }
  const reasons = [...counts].sort((a, b) => b[1] - a[1]);
  byId("reasons").replaceChildren(...reasons.map(([code, count]) => el("button", { type: "button", class: "reason", "aria-pressed": String(reason === code), onclick: () => { reason = reason === code ? "" : code; apply(); byId("rows").focus(); } }, say(`results.reason_short.${code}`), " ", el("b", {}, String(count)))));
  const clear = waiting.filter((row) => row.lane === "clear").length;
  const button = /** @type {HTMLButtonElement} */ (byId("verify-clear"));
  button.replaceChildren(say("worklist.verify_clear", { count: clear }), " ", el("kbd", {}, "Ctrl ↵"));
  button.disabled = clear === 0;
  const pill = byId("new");
  pill.hidden = arrived.size === 0;
  pill.textContent = say("worklist.new_rows", { count: arrived.size });
}

let asking = 0;
/** @type {AbortController | undefined} */
let pending;
/** @param {number} index */
function moveTo(index) {
  if (index !== table.cursor || !current()) { form = null; problem = ""; }
  table.cursor = Math.min(Math.max(0, index), Math.max(0, table.rows.length - 1));
  const row = current();
  if (detail?.id !== row?.id) { detail = null; }
  table.reveal();
  draw();
  if (!row) { return; }
  byId("said").textContent = [tube(row), nameOf(row), row.test_name, row.value, row.unit, row.flag && say(`worklist.flag.${row.flag}`), codes(row).map((code) => say(`results.reason_short.${code}`)).join(", ")].filter(Boolean).join(", ");
  clearTimeout(asking);
  asking = window.setTimeout(() => readDetail(row.id), DETAIL_DELAY_MS);
}

/** @param {number} id */
async function readDetail(id) {
  pending?.abort();
  pending = new AbortController();
  try {
    const found = await ask(`/observations/${id}`, { signal: pending.signal });
    if (current()?.id === id) { detail = found; draw(); }
  } catch (error) {
    if (error instanceof Problem && error.status !== 401 && current()?.id === id) { problem = error.message; draw(); }
  }
}

function draw() {
  const row = current();
  const isReleased = row?.bench_state === "released" && undoable.includes(row.id);
  const actions = !row ? [] : isReleased ? [{ key: "U", name: "undo", run: undo, isMain: true }] : !isWaiting(row) ? [] : [
    { key: "V", name: "verify", run: verify, isMain: true },
    { key: "⇧V", name: "verify_specimen", run: verifySpecimen },
    { key: "R", name: "rerun", run: () => askFor("rerun") },
    { key: "D", name: "dilute", run: () => askFor("dilute") },
    ...(codes(row).some((code) => ABOVE.has(code)) ? [{ key: "G", name: "report_limit", run: () => askFor("report_limit") }] : []),
    ...(codes(row).includes("order_cancelled") ? [{ key: "E", name: "reinstate", run: () => askFor("reinstate") }, { key: "X", name: "reject_result", run: () => askFor("reject_result") }] : []),
    { key: "C", name: "comment", run: () => askFor("comment") },
    { key: "L", name: "call", run: () => askFor("call") },
    { key: "⇧Del", name: "reject", run: () => askFor("reject") },
    ...(row.lane === "unmatched" || codes(row).includes("id_not_from_barcode") ? [{ key: "↵", name: "bind", run: () => askFor("bind") }] : []),
  ];
  drawPanel(panel, row, detail, { form, problem, actions, onchoose: (run) => askFor("choose_run", run) });
}

// --- rows change ------------------------------------------------------------------------------------------

/** Put a fresh row in its place without moving anything. @param {Row} row @param {boolean} [isMine] */
function patch(row, isMine = false) {
  const old = known.get(row.id);
  known.set(row.id, row);
  const at = table.rows.findIndex((one) => one.id === row.id);
  if (at >= 0) {
    table.rows[at] = row;
    if (!isMine && old && old.row_version !== row.row_version) { table.changed.add(row.id); }
    if (at === table.cursor) { if (old?.row_version !== row.row_version) { readDetail(row.id); } draw(); }
  } else if (isWaiting(row)) {
    arrived.add(row.id);
  }
}

/** @type {number} */
let drawing = 0;
function drawSoon() {
  if (!drawing) { drawing = requestAnimationFrame(() => { drawing = 0; table.draw(); drawChips(); }); }
}

let lookingAgain = 0;
/** @param {any} message */
function onLive(message) {
  if (message.topic === "reload") { read(false); return; }
  if (message.topic === "inbox") { clearTimeout(lookingAgain); lookingAgain = window.setTimeout(readUnreadable, 1000); return; }
  if (message.row) { patch(message.row, mine.has(message.row.id)); drawSoon(); }
}

/** Read the list again. @param {boolean} isFirst */
async function read(isFirst) {
  try {
    const seen = new Set();
    let after = "";
    do {
      const page = await ask(`/worklist?limit=${PAGE_ROWS}${after && `&after=${encodeURIComponent(after)}`}`);
      for (const row of page.rows) { seen.add(row.id); if (isFirst) { known.set(row.id, row); } else { patch(row); } }
      if (isFirst && !after) { apply(); main.dataset.ready = "true"; } else if (isFirst) { table.rows.push(...sorted(page.rows.filter(matches))); }
      after = page.next;
    } while (after && seen.size < ROWS_MAX);
    if (!isFirst) { for (const row of known.values()) { if (isWaiting(row) && !seen.has(row.id)) { patch({ ...row, bench_state: "superseded" }); } } }
    drawSoon();
  } catch (error) {
    if (!known.size) { state.replaceChildren(el("strong", {}, say("worklist.error")), error instanceof Error ? error.message : "", el("p", {}, el("button", { type: "button", class: "button", onclick: () => read(true) }, say("worklist.again")))); main.dataset.ready = "error"; }
  }
}

// --- records that nobody could read ------------------------------------------------------------------------

/** @type {{id: number, raw: string, reason: string, record: string, created_at: string}[]} */
let unreadable = [];
async function readUnreadable() {
  try { unreadable = await ask("/unreadable"); } catch (error) { if (!(error instanceof Problem)) { throw error; } }
  drawChips();
}

function showUnreadable() {
  const records = unreadable.slice(0, 20).map((one) => el("div", {}, el("p", { class: "why" }, `${moment(one.created_at)} · ${say(`results.reason.${one.reason}`)}`), el("pre", { class: "raw" }, one.raw),
    el("button", { type: "button", class: "button small", onclick: () => resolve(one) }, say("worklist.resolve"))));
  form = el("section", { class: "ask" }, el("h3", {}, say("worklist.unreadable", { count: unreadable.length })), ...records, el("p", {}, el("button", { type: "button", class: "button", onclick: closeForm }, say("ui.close"), " ", el("kbd", {}, "Esc"))));
  draw();
  showInPanel(form);
}

/** @param {{id: number, raw: string}} record */
function resolve(record) {
  showForm(say("worklist.resolve"), [el("pre", { class: "raw" }, record.raw), area("reason", { required: true })], say("ui.save"), async (values) => {
    try { await ask(`/unreadable/${record.id}/resolve`, { method: "POST", body: { reason: values.reason } }); } catch (error) { refused(error); return false; }
    await readUnreadable();
    return true;
  });
}

// --- decisions --------------------------------------------------------------------------------------------

/** The next row that waits, at or after an index, else the last before it. @param {number} from */
function nextWaiting(from) {
  const after = table.rows.findIndex((row, index) => index >= from && isWaiting(row));
  return after >= 0 ? after : Math.min(from, table.rows.length - 1);
}

/** Say why the server refused; a changed row is shown as it is now. @param {unknown} error @param {Row} [row] */
function refused(error, row) {
  if (!(error instanceof Problem)) { throw error; }
  if (row) { patch(error.row ?? row, true); }
  if (error.row) { table.changed.add(error.row.id); }
  const at = row ? table.rows.findIndex((one) => one.id === row.id) : -1;
  const where = row ? `${tube(row)} ${row.test_name}: ` : "";
  if (at === table.cursor) { problem = error.message; draw(); }
  toast(where + error.message, { kind: "problem", seconds: 12, ...(at >= 0 && at !== table.cursor ? { action: say("worklist.show"), onaction: () => moveTo(at) } : {}) });
  drawSoon();
}

/** @param {number[]} ids @param {string} text */
function offerUndo(ids, text) {
  removeUndo();
  undoable = ids;
  removeUndo = toast(text, { seconds: UNDO_SECONDS, action: say("worklist.act.undo"), key: "U", onaction: undo });
  setTimeout(() => { if (undoable === ids) { undoable = []; draw(); } }, UNDO_SECONDS * 1000);
}

/** V: this row, at once grey, undone within five seconds. @param {string[]} [acknowledged] */
async function verify(acknowledged = []) {
  const row = current();
  if (!row || !isWaiting(row)) { return; }
  if (codes(row).includes("unknown_flag") && !acknowledged.length) { askFor("acknowledge"); return; }
  patch({ ...row, bench_state: "released" }, true);
  moveTo(nextWaiting(table.cursor));
  try {
    const answer = await ask(`/observations/${row.id}/verify`, { method: "POST", body: { ...shown(row), acknowledged } });
    patch(answer.row, true);
    offerUndo([row.id], say("worklist.verified", { test: row.test_name, value: row.value, specimen: tube(row) }));
  } catch (error) { refused(error, row); }
  drawSoon();
}

/** Exactly the listed rows; the server decides each. @param {string} path @param {Row[]} rows @param {object} [more] */
async function verifyMany(path, rows, more = {}) {
  try {
    const answer = await ask(path, { method: "POST", body: { ...more, shown: rows.map(shown) } });
    for (const row of answer.rows) { patch(row, true); }
    if (answer.verified.length) { offerUndo(answer.verified, say("worklist.verified_many", { count: answer.verified.length })); }
    const left = Object.keys(answer.refused).length;
    if (left) { toast(say("worklist.left_many", { count: left })); }
    moveTo(nextWaiting(table.cursor));
    drawSoon();
    return true;
  } catch (error) { refused(error); return false; }
}

/** Shift+V: the rows of this tube that no rule objects to. */
function verifySpecimen() {
  const row = current();
  if (!row || row.specimen.id === null) { return; }
  const own = table.rows.filter((one) => one.specimen.id === row.specimen.id && isWaiting(one) && one.lane === "clear");
  if (!own.length) { toast(say("worklist.none_clear", { specimen: tube(row) })); return; }
  verifyMany("/observations/verify-specimen", own, { specimen: row.specimen.id });
}

/** Ctrl+Enter: the CLEAR lane, listed and counted first. */
function confirmClear() {
  const picked = table.rows.filter((row) => row.lane === "clear" && isWaiting(row) && (!table.selected.size || table.selected.has(row.id)));
  const rows = picked.slice(0, PAGE_ROWS);
  if (!rows.length) { toast(say("worklist.none_clear_here")); return; }
  const list = el("table", {}, el("tbody", {}, ...rows.map((row) => el("tr", {}, el("td", {}, row.test_name, el("div", { class: "muted" }, `${tube(row)} ${nameOf(row)}`)), el("td", { class: "number" }, `${row.value} ${row.unit}`, flagBadge(row.flag))))));
  showForm(say("worklist.confirm_clear", { count: rows.length }), [el("p", { class: "muted" }, say("worklist.confirm_clear_hint")), el("div", { class: "rows", tabindex: 0 }, list)], `${say("worklist.act.verify")} (${rows.length})`, () => verifyMany("/observations/verify-clear", rows));
}

async function undo() {
  const ids = undoable;
  undoable = [];
  removeUndo();
  for (const id of ids) {
    try {
      const answer = await ask(`/observations/${id}/undo`, { method: "POST" });
      patch(answer.row, true);
      if (ids.length === 1) { moveTo(table.rows.findIndex((row) => row.id === id)); }
    } catch (error) { refused(error, known.get(id)); }
  }
  drawSoon();
}

// --- questions in the panel -------------------------------------------------------------------------------

const field = (/** @type {string} */ label, /** @type {HTMLElement} */ input) => el("label", { class: "field" }, el("span", {}, label), input);
const text = (/** @type {string} */ name, /** @type {object} */ more = {}) => field(say(`worklist.ask.${name}`), el("input", { name, maxlength: 200, autocomplete: "off", ...more }));
const area = (/** @type {string} */ name, /** @type {object} */ more = {}) => field(say(`worklist.ask.${name}`), el("textarea", { name, maxlength: 1000, ...more }));
/** Ready reasons; the chosen one goes into the text field. @param {string} kind */
function presets(kind) {
  const choices = [1, 2, 3, 4, 5].filter((number) => knows(`worklist.preset.${kind}.${number}`)).map((number) => say(`worklist.preset.${kind}.${number}`));
  return el("div", { class: "choices" }, ...choices.map((choice) => el("button", { type: "button", class: "button small", onclick: (/** @type {Event} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target).closest("form")?.querySelector("textarea");
    if (target) { target.value = choice; target.focus(); }
  } }, choice)));
}

/**
 * Ask in the panel. The form stays, with all that was typed, until the answer is a yes (or the row has changed).
 * @param {string} title @param {HTMLElement[]} fields @param {string} done @param {(values: Record<string, string>) => Promise<boolean>} onsubmit
 */
function showForm(title, fields, done, onsubmit) {
  form = el("form", { class: "ask", autocomplete: "off" }, el("h3", {}, title), ...fields,
    el("button", { class: "button main" }, done, " ", el("kbd", {}, "Ctrl ↵")), el("button", { type: "button", class: "button", onclick: closeForm }, say("ui.cancel"), " ", el("kbd", {}, "Esc")));
  const own = form;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const send = /** @type {HTMLButtonElement} */ (own.querySelector("button.main"));
    if (send.disabled) { return; }
    send.disabled = true;
    const isDone = await onsubmit(/** @type {Record<string, string>} */ (Object.fromEntries(new FormData(/** @type {HTMLFormElement} */ (own)))));
    send.disabled = false;
    if (isDone && form === own) { closeForm(); }
  });
  draw();
  /** @type {HTMLElement | null} */ (form.querySelector("textarea, input") ?? form.querySelector(".button.main"))?.focus({ preventScroll: true });
  showInPanel(form);
}

/** Scroll the panel (only the panel) to a part of it, below the name that stays. @param {Element | null} part */
function showInPanel(part) {
  const head = panel.querySelector("header")?.clientHeight ?? 0;
  if (part) { panel.scrollTop += part.getBoundingClientRect().top - panel.getBoundingClientRect().top - head - 12; }
}

function closeForm() {
  form = null;
  draw();
  byId("rows").focus({ preventScroll: true });
}

/** The questions of an action. @type {Record<string, () => HTMLElement[]>} */
const QUESTIONS = {
  rerun: () => [presets("rerun"), area("reason", { required: true })],
  dilute: () => [text("factor", { type: "number", min: 2, max: 1000, step: "any", value: 5, required: true }), presets("dilute"), area("reason", { required: true })],
  report_limit: () => [presets("report_limit"), area("reason", { required: true })],
  reinstate: () => [presets("reinstate"), area("reason", { required: true })],
  reject_result: () => [presets("reject_result"), area("reason", { required: true })],
  comment: () => [area("text", { required: true })],
  reject: () => [presets("reject"), area("reason", { required: true })],
  choose_run: () => [presets("choose_run"), area("reason", { required: true })],
  call: () => [text("person", { required: true }), text("note"), el("label", { class: "choices" }, el("input", { type: "checkbox", name: "read_back", value: "true" }), say("worklist.ask.read_back"))],
  bind: () => [text("accession", { inputmode: "numeric", required: true }), text("identifier", { required: true })],
  acknowledge: () => [el("p", {}, say("worklist.acknowledge_hint", { flags: current()?.instrument_flags.join(" ") }))],
};

/** What an action sends beside the answers. @param {string} action @param {Row} row @param {Record<string, string>} values */
function extras(action, row, values) {
  if (action === "call") { return { read_back: values.read_back === "true" }; }
  if (action !== "reject" || row.specimen.id === null) { return {}; }
  const others = table.rows.filter((one) => one.specimen.id === row.specimen.id && one.id !== row.id && isWaiting(one));
  return { others: others.map(shown) };
}

/** Ask what an action needs, in the panel. @param {string} action @param {Row} [row] */
function askFor(action, row = current()) {
  if (!row || !isWaiting(row)) { return; }
  showForm(say(`worklist.ask_title.${action}`, { test: row.test_name, specimen: tube(row) }), QUESTIONS[action](), say(`worklist.act.${action}`), async (values) => {
    if (action === "acknowledge") { verify(["unknown_flag"]); return true; }
    try {
      const answer = await ask(`/observations/${row.id}/${action.replace("_", "-")}`, { method: "POST", body: { ...shown(row), ...values, ...extras(action, row, values) } });
      for (const fresh of answer.rows) { patch(fresh, true); }
      toast(say(`worklist.done.${action}`, { test: row.test_name, specimen: tube(row) }));
      readDetail(row.id);
      if (action === "reject") { closeForm(); moveTo(nextWaiting(table.cursor)); }
      drawSoon();
      return true;
    } catch (error) {
      refused(error, row);
      return error instanceof Problem && error.status === 409;
    }
  });
}

/** What may be done only about a result of a cancelled order (S21). @param {string} action */
function askIfCancelled(action) {
  const row = current();
  if (row && codes(row).includes("order_cancelled")) { askFor(action, row); }
}

// --- keys -------------------------------------------------------------------------------------------------

/** To the next or previous tube. @param {number} step */
function moveSpecimen(step) {
  let index = table.cursor;
  while (index > 0 && !table.isFirst(index)) { index -= 1; }
  if (step > 0) { index = table.cursor + 1; while (index < table.rows.length - 1 && !table.isFirst(index)) { index += 1; } } else if (index === table.cursor) { index -= 1; while (index > 0 && !table.isFirst(index)) { index -= 1; } }
  moveTo(index);
}

function select() {
  const row = current();
  if (!row || !isWaiting(row)) { return; }
  if (!table.selected.delete(row.id)) { table.selected.add(row.id); }
  table.draw();
}

/** A scanned number: to that tube, whatever the filter says. @param {string} number */
function jump(number) {
  const isIt = (/** @type {Row} */ row) => tube(row) === number;
  let at = table.rows.findIndex(isIt);
  const row = [...known.values()].find((one) => isWaiting(one) && isIt(one));
  if (at < 0 && row) { lane = ""; reason = ""; filter.value = ""; apply(row.id); at = table.rows.findIndex(isIt); }
  if (at >= 0) { moveTo(at); byId("rows").focus(); } else { toast(say("worklist.not_here", { specimen: number }), { kind: "problem" }); }
}

const PAGE_STEP = 20;
/** Keys that may repeat while held. @type {Record<string, () => void>} */
const MOVES = {
  ArrowDown: () => moveTo(table.cursor + 1), KeyJ: () => moveTo(table.cursor + 1),
  ArrowUp: () => moveTo(table.cursor - 1), KeyK: () => moveTo(table.cursor - 1),
  ArrowRight: () => moveSpecimen(1), ArrowLeft: () => moveSpecimen(-1),
  PageDown: () => moveTo(table.cursor + PAGE_STEP), PageUp: () => moveTo(table.cursor - PAGE_STEP),
  Home: () => moveTo(0), End: () => moveTo(table.rows.length - 1),
};
/** Decisions: one press, one row. @type {Record<string, () => void>} */
const DECISIONS = {
  Space: select, KeyV: () => verify(), "Shift+KeyV": verifySpecimen, "Ctrl+Enter": confirmClear, "Ctrl+NumpadEnter": confirmClear,
  KeyR: () => askFor("rerun"), KeyD: () => askFor("dilute"), KeyG: () => { if (current()?.holds.some((hold) => ABOVE.has(hold.code))) { askFor("report_limit"); } }, KeyE: () => askIfCancelled("reinstate"), KeyX: () => askIfCancelled("reject_result"), KeyC: () => askFor("comment"), KeyL: () => askFor("call"),
  KeyH: () => { showInPanel(panel.querySelector("#history")); panel.focus({ preventScroll: true }); },
  "Shift+Delete": () => askFor("reject"), KeyU: undo,
  Enter: () => { if (current()?.lane === "unmatched") { askFor("bind"); } },
};

let scanned = "";
let scannedAt = 0;
/** Whether the key ended or belongs to a scanner's burst. @param {KeyboardEvent} event */
function isScan(event) {
  const isQuick = event.timeStamp - scannedAt < SCAN_GAP_MS;
  if (/^\d$/.test(event.key)) { scanned = isQuick ? scanned + event.key : event.key; scannedAt = event.timeStamp; return false; }
  const isDone = event.key === "Enter" && isQuick && scanned.length >= SCAN_DIGITS_MIN;
  if (isDone) { const number = scanned; scanned = ""; jump(number); }
  return isDone;
}

document.addEventListener("keydown", (event) => {
  if (isScan(event)) { event.preventDefault(); if (document.activeElement === filter) { filter.value = ""; } return; }
  const target = event.target instanceof HTMLElement ? event.target : document.body;
  if (event.key === "Escape" && form) { event.preventDefault(); closeForm(); return; }
  if (form && event.key === "Enter" && event.ctrlKey) { event.preventDefault(); /** @type {HTMLFormElement} */ (form).requestSubmit(); return; }
  if (isTyping(target)) {
    if (target === filter && (event.key === "Enter" || event.key === "ArrowDown")) { event.preventDefault(); byId("rows").focus(); }
    if (target === filter && event.key === "Escape") { filter.value = ""; apply(); byId("rows").focus(); }
    return;
  }
  if (event.key === "/" && !event.ctrlKey) { event.preventDefault(); filter.focus(); filter.select(); return; }
  if (expectsPlace() || event.altKey || event.metaKey || (form && event.code !== "Escape")) { return; }
  const isPress = event.code === "Space" || event.code === "Enter";
  if (isPress && !event.ctrlKey && target.closest("button, a, summary, input")) { return; }
  const name = `${event.ctrlKey ? "Ctrl+" : ""}${event.shiftKey ? "Shift+" : ""}${event.code}`;
  if (MOVES[name]) { event.preventDefault(); MOVES[name](); } else if (DECISIONS[name]) { event.preventDefault(); if (!event.repeat) { DECISIONS[name](); } }
});

filter.addEventListener("input", () => apply());
byId("new").addEventListener("click", () => { apply(); byId("rows").focus(); });
byId("verify-clear").addEventListener("click", () => { lane = "clear"; reason = ""; apply(); confirmClear(); });
panel.tabIndex = -1;

const live = byId("live");
follow(["observation", "inbox"], onLive, {
  onback: () => read(false),
  onstate: (isUp) => { live.className = `live ${isUp ? "up" : "down"}`; live.textContent = (isUp ? live.dataset.up : live.dataset.down) || ""; },
});
await read(true);
readUnreadable();
byId("rows").focus({ preventScroll: true });
