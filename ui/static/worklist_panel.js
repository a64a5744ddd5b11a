// @ts-check
// The side panel: everything a person needs to decide about the row under the cursor, always open. Who it is stays
// in sight; then the value, why this interval, why it waits and what to do, the keys that do it, and below
// that the evidence: every rule that spoke, history, runs, the raw record.
import { ask, day, el, knows, moment, say, svg, time } from "./shell.js";
import { birthday, flagBadge, isWaiting, limitsOf, nameOf, numberOf, tube } from "./worklist_table.js";

/** @typedef {import("./worklist_table.js").Row} Row */
const CHART = { width: 324, height: 92, top: 8, bottom: 20, side: 6 };
const MARKS = /** @type {Record<string, string>} */ ({ pass: "✓", hold: "✗", not_evaluable: "–", not_applicable: "–" });
const HOURS_PER_YEAR = 8766;

/** @param {string} title @param {...(Node | string | null | false)} content */
const section = (title, ...content) => el("section", {}, el("h3", {}, title), ...content);

/** Hours as an age. @param {number} hours */
function age(hours) {
  if (hours < 168) { return say("worklist.age.hours", { count: hours }); }
  if (hours < 24 * 60) { return say("worklist.age.days", { count: Math.floor(hours / 24) }); }
  if (hours < 2 * HOURS_PER_YEAR) { return say("worklist.age.months", { count: Math.floor(hours / 730.5) }); }
  return say("worklist.age.years", { count: Math.floor(hours / HOURS_PER_YEAR) });
}

/** Which band was used, or why none. @param {Row} row */
function whyInterval(row) {
  const band = /^sex=(\w+);age_h=(\d*);band=(\d+)-(\d*)$/.exec(row.interval_reason);
  if (!band) { return row.interval_reason ? say(`worklist.why.${row.interval_reason}`) : ""; }
  const [, sex, hours, from, to] = band;
  const ages = to ? `${age(Number(from))} – ${age(Number(to))}` : say("worklist.why.from", { age: age(Number(from)) });
  return [say(`worklist.why.sex.${sex}`), hours && say("worklist.why.at_collection", { age: age(Number(hours)) }), say("worklist.why.band", { ages: Number(from) || to ? ages : say("worklist.why.any_age") })].filter(Boolean).join("; ");
}

/** The value on its interval. @param {Row} row */
function rangeBar(row) {
  const value = numberOf(row.value);
  const { low, high } = limitsOf(row.interval);
  if (value === null || (low === null && high === null)) { return null; }
  const from = low ?? 0;
  const to = high ?? Math.max(from * 2, value);
  const width = to - from || 1;
  const start = Math.max(low === null ? from : from - width * 0.7, Math.min(0, from) === from ? from : -Infinity);
  const end = to + width * 0.7;
  const x = (/** @type {number} */ at) => Math.min(CHART.width - 6, Math.max(6, ((at - start) / (end - start)) * CHART.width));
  const label = (/** @type {number} */ at) => svg("text", { x: x(at), y: 30, "text-anchor": "middle" }, String(at));
  return svg("svg", { class: "range", viewBox: `0 0 ${CHART.width} 34`, role: "img", "aria-label": say("worklist.range_label", { value: row.value, interval: row.interval }) },
    svg("rect", { class: "track", x: 0, y: 8, width: CHART.width, height: 6, rx: 3 }),
    svg("rect", { class: "inside", x: x(from), y: 8, width: Math.max(2, x(to) - x(from)), height: 6 }),
    ...(low === null ? [] : [label(low)]), ...(high === null ? [] : [label(high)]),
    svg("circle", { class: "now", cx: x(value), cy: 11, r: 6 }));
}

/** @param {Row} row @param {any} detail */
function history(row, detail) {
  const points = detail.points.filter((/** @type {any} */ one) => one.number !== null && one.id !== row.id);
  const now = numberOf(row.value);
  const table = el("table", {}, el("tbody", {}, ...points.slice(-6).reverse().map((/** @type {any} */ one) => el("tr", {}, el("td", {}, day(one.at)), el("td", { class: "number" }, one.value), el("td", {}, one.unit), el("td", {}, flagBadge(one.flag))))));
  if (now === null || points.length < 1) { return points.length ? table : el("p", { class: "muted" }, say("worklist.no_history")); }
  const all = [...points.map((/** @type {any} */ one) => ({ at: Date.parse(one.at), y: one.number })), { at: Date.parse(row.analysed_at || ""), y: now }];
  const { low, high } = limitsOf(row.interval);
  const values = [...all.map((one) => one.y), ...[low, high].filter((one) => one !== null).map(Number)];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [all[0].at, all[all.length - 1].at];
  const inner = CHART.height - CHART.top - CHART.bottom;
  const y = (/** @type {number} */ value) => CHART.top + inner - ((value - least) / (most - least || 1)) * inner;
  const x = (/** @type {number} */ at) => CHART.side + ((at - first) / (last - first || 1)) * (CHART.width - 2 * CHART.side);
  const top = high === null ? CHART.top : y(high);
  const bottom = low === null ? CHART.height - CHART.bottom : y(low);
  const chart = svg("svg", { class: "history-chart", viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: "img", "aria-label": say("worklist.history_label", { count: all.length }) },
    svg("rect", { class: "band", x: 0, width: CHART.width, y: top, height: Math.max(1, bottom - top) }),
    svg("path", { d: all.map((one, index) => `${index ? "L" : "M"}${x(one.at).toFixed(1)} ${y(one.y).toFixed(1)}`).join("") }),
    ...all.map((one, index) => svg("circle", { class: index === all.length - 1 ? "now" : "", cx: x(one.at).toFixed(1), cy: y(one.y).toFixed(1), r: 3 })),
    svg("text", { x: 0, y: CHART.height - 4 }, day(points[0].at)),
    svg("text", { x: CHART.width, y: CHART.height - 4, "text-anchor": "end" }, `${day(row.analysed_at)} ${time(row.analysed_at)}`));
  return el("div", {}, chart, table);
}

/** The inputs of a rule that people understand. @param {Record<string, string>} parameters */
function inputs(parameters) {
  return Object.entries(parameters).filter(([name, value]) => value !== "" && knows(`worklist.parameter.${name}`))
    .map(([name, value]) => `${say(`worklist.parameter.${name}`)} ${/^\d{4}-\d\d-\d\dT/.test(value) ? moment(value) : value}`).join(" · ");
}

/** @param {any} detail */
function rules(detail) {
  const quiet = detail.verdicts.filter((/** @type {any} */ one) => one.outcome === "not_applicable");
  const line = (/** @type {any} */ one) => {
    const kind = one.reason ? "bad" : one.outcome === "pass" ? "" : "quiet-rule";
    const outcome = one.reason ? say(`results.reason_short.${one.reason}`) : one.outcome === "pass" ? "" : say(`results.outcome.${one.outcome}`);
    const extra = inputs(one.parameters || {});
    return el("li", {}, el("span", { class: kind, "aria-hidden": "true" }, one.reason ? "✗" : MARKS[one.outcome] || "–"), el("span", { class: kind }, say(`results.rule.${one.rule}`), outcome && `: ${outcome}`, one.outcome === "pass" ? el("span", { class: "only-read" }, ` ${say("results.outcome.pass")}`) : null), extra && one.reason ? el("small", {}, extra) : null);
  };
  const order = (/** @type {any} */ one) => (one.reason ? 0 : one.outcome === "not_evaluable" ? 1 : 2);
  const spoke = detail.verdicts.filter((/** @type {any} */ one) => one.outcome !== "not_applicable").sort((/** @type {any} */ a, /** @type {any} */ b) => order(a) - order(b));
  return el("div", {}, el("ul", { class: "rules" }, ...spoke.map(line)),
    quiet.length > 0 && el("details", {}, el("summary", { class: "muted" }, say("worklist.rules_not_applicable", { count: quiet.length })), el("ul", { class: "rules" }, ...quiet.map(line))));
}

/** @param {Row} row @param {any} detail @param {(run: Row) => void} onchoose */
function runs(row, detail, onchoose) {
  return el("table", {}, el("tbody", {}, ...detail.runs.map((/** @type {Row} */ one) => el("tr", {},
    el("td", {}, moment(one.analysed_at)), el("td", { class: "number" }, one.value), el("td", {}, one.device),
    el("td", {}, one.is_chosen ? say("worklist.run_counts") : say(`worklist.state.${one.bench_state}`)),
    el("td", {}, one.id === row.id ? say("worklist.run_shown") : isWaiting(one) && el("button", { type: "button", class: "button small", onclick: () => onchoose(one) }, say("worklist.act.choose_run")))))));
}

/** The record the value was read from, and one click to the whole message. @param {any} detail */
function raw(detail) {
  const place = el("div", {});
  const open = async () => {
    try {
      const message = await ask(`/observations/${detail.id}/raw`);
      const lines = message.lines.map((/** @type {string} */ line) => (line === detail.raw.text ? el("mark", {}, `${line}\n`) : `${line}\n`));
      place.replaceChildren(el("pre", { class: "raw", tabindex: 0 }, ...lines), el("p", { class: "muted why" }, say("worklist.raw_facts", { driver: message.driver || "–", at: moment(message.received_at), inbox: message.id })));
    } catch (error) { place.replaceChildren(el("p", { class: "note problem" }, error instanceof Error ? error.message : "")); }
  };
  return el("div", {}, el("pre", { class: "raw" }, detail.raw.text || "–"), el("button", { type: "button", class: "button small", onclick: open }, say("worklist.raw_full")), place);
}

/** Who it is and which tube: stays in sight. @param {Row} row */
function who(row) {
  const person = row.patient;
  const facts = person ? [say(`worklist.sex_long.${person.sex}`), birthday(person.birth_date), person.age && say(`worklist.age.${person.age.unit}`, { count: person.age.count })] : [];
  const taken = row.specimen.collected_at ? say("worklist.collected", { at: moment(row.specimen.collected_at).replace(/:\d\d$/, "") }) : "";
  return [el("h2", {}, nameOf(row, true) || say("worklist.no_patient")), el("p", {}, facts.filter(Boolean).join(" · ")),
    el("p", { class: "muted" }, [say("worklist.tube", { number: tube(row) || "—" }), row.specimen.type, taken, row.ward].filter(Boolean).join(" · "))];
}

/** Replace what a part of the panel shows. @param {HTMLElement} panel @param {string} name @param {(Node | string | null)[]} content */
function fill(panel, name, content) {
  const part = panel.querySelector(`:scope > .${name}`) ?? panel.appendChild(el(name === "who" ? "header" : "div", { class: name }));
  const next = content.filter((one) => one !== null);
  if (next.length !== 1 || part.firstChild !== next[0]) { part.replaceChildren(...next); } // a form that is typed into stays where it is
}

/** Why the row waits, with what to do about each reason. @param {Row} row */
function holds(row) {
  if (!isWaiting(row) || !row.holds.length) { return null; }
  const kind = (/** @type {string} */ code) => (row.lane === "clear" ? "clear" : code === "critical" ? "critical" : "");
  return section(say("worklist.why_waits"), el("ul", { class: "holds" }, ...row.holds.map(({ code, parameters }) =>
    el("li", { class: kind(code) }, el("b", {}, say(`results.reason.${code}`, parameters)), el("span", {}, say(`worklist.todo.${code}`))))));
}

/** @param {any} detail */
function calls(detail) {
  const attempt = (/** @type {any} */ one) => el("div", { class: "muted" }, [moment(one.at), one.spoke_with, one.note].filter(Boolean).join(" · "));
  return section(say("worklist.calls"), el("ul", {}, ...detail.calls.map((/** @type {any} */ call) => el("li", {}, `${moment(call.opened_at)} · ${say(`worklist.call.${call.state}`)}`, ...call.attempts.map(attempt)))));
}

/** What the instrument sent behind this value: Ct, end points. Read, never judged. @param {Row} row */
function supplements(row) {
  if (!row.supplements.length) { return null; }
  return section(say("worklist.supplements"), el("table", {}, el("tbody", {}, ...row.supplements.map((one) =>
    el("tr", {}, el("td", { title: one.code }, one.name), el("td", { class: "number" }, [one.value || "–", one.unit, ...one.flags].filter(Boolean).join(" ")))))));
}

/**
 * Draw the panel. `detail` is null while it loads.
 * @param {HTMLElement} panel @param {Row | undefined} row @param {any} detail
 * @param {{form: HTMLElement | null, problem: string, actions: {key: string, name: string, run: () => void, isMain?: boolean}[], onchoose: (run: Row) => void}} parts
 */
export function drawPanel(panel, row, detail, { form, problem, actions, onchoose }) {
  const flags = row?.instrument_flags.length ? say("worklist.instrument_flags", { flags: row.instrument_flags.join(" ") }) : "";
  const kind = (/** @type {string} */ name, /** @type {boolean | undefined} */ isMain) => (isMain ? "main" : name === "verify_specimen" ? "all" : "");
  const buttons = actions.map((action) => el("button", { type: "button", class: `button small ${kind(action.name, action.isMain)}`, onclick: action.run }, say(`worklist.act.${action.name}`), el("kbd", {}, action.key)));
  fill(panel, "who", row ? who(row) : []);
  fill(panel, "what", row ? [
    el("div", { class: "muted" }, row.test_name),
    el("div", { class: "big" }, row.value || "—", el("small", {}, row.unit), flagBadge(row.flag)),
    rangeBar(row),
    el("p", { class: "why muted" }, [row.interval, whyInterval(row)].filter(Boolean).join(" — ")),
    el("p", { class: "why muted" }, [row.device, moment(row.analysed_at), say(`worklist.qc.${row.qc}`), flags].filter(Boolean).join(" · ")),
    holds(row),
    supplements(row),
  ] : [el("p", { class: "empty" }, say("worklist.panel_empty"))]);
  fill(panel, "act", [form ?? el("div", { class: "acts" }, ...buttons)]);
  fill(panel, "evidence", [
    problem ? el("p", { class: "note problem", role: "alert" }, problem) : null,
    row?.comment ? section(say("worklist.comment"), el("p", {}, row.comment)) : null,
    ...(row && detail ? [
      el("section", { id: "history" }, el("h3", {}, say("worklist.history")), history(row, detail)),
      section(say("worklist.rules"), rules(detail)),
      detail.runs.length > 1 ? section(say("worklist.runs"), runs(row, detail, onchoose)) : null,
      detail.calls.length ? calls(detail) : null,
      section(say("worklist.raw"), raw(detail)),
    ] : []),
  ]);
}
