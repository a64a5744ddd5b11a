// @ts-check
// Quality control: reading a chart by pointer and keys, levels on and off, news of new controls.
// The chart comes drawn; what it says is in the data attributes of the SVG (lis/printing/levey_jennings.py).
import { el, expectsPlace, follow, isTyping, say, svg } from "./shell.js";

const main = document.querySelector("main");
const board = document.getElementById("board");

// --- the board: read again when a gate changes, unless somebody is typing in it ------------------------------

if (board) {
  let isAsked = false;
  const renew = async () => {
    isAsked = false;
    if (board.contains(document.activeElement) && isTyping(document.activeElement)) { return; }
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok || answer.redirected) { return; }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("board");
    const at = document.activeElement instanceof HTMLAnchorElement ? document.activeElement.getAttribute("href") : null;
    if (fresh) { board.replaceChildren(...fresh.childNodes); }
    if (at && document.activeElement === document.body) {
      [...board.querySelectorAll("a")].find((link) => link.getAttribute("href") === at)?.focus();
    }
  };
  const ask = () => { if (!isAsked) { isAsked = true; setTimeout(renew, 400); } };
  follow(["gate"], ask, { onback: ask });
  document.querySelector(".filter select")?.addEventListener("change", (event) => {
    /** @type {HTMLSelectElement} */ (event.target).form?.requestSubmit();
  });
}

// --- the chart ------------------------------------------------------------------------------------------------

/**
 * @typedef {{level: number, label: string, index: number, x: number, y: number, z: string, value: string,
 *   rule: string, state: string, point: string, time: string}} Point
 */

/** @param {SVGSVGElement} chart @returns {Point[][]} the points of each level */
function readLevels(chart) {
  const times = (chart.dataset.times || "").split("|");
  return [...chart.querySelectorAll("g.lj-level")].map((group, level) => {
    const data = /** @type {SVGGElement} */ (group).dataset;
    if (!data.index) { return []; }
    const list = (/** @type {string} */ name) => (data[name] || "").split("|");
    const [index, x, y, z, value, rule, state, point] = ["index", "x", "y", "z", "value", "rule", "state", "point"].map(list);
    return index.map((run, n) => ({
      level, label: data.level || "", index: Number(run), x: Number(x[n]), y: Number(y[n]), z: z[n].replace("-", "\u2212"),
      value: value[n], rule: rule[n], state: state[n], point: point[n], time: times[Number(run)],
    }));
  });
}

/** What is said about a point, by voice and below the chart. @param {Point} point */
function sentence(point) {
  const rules = point.rule.split(" ").filter(Boolean).map((code) => `${code}: ${say(`qc.rule.${code}`)}`);
  const state = [`${say(`qc.mark.${point.state}`)}.`, ...rules].join(" ");
  return say("qcpage.point", { level: point.label, value: point.value, z: point.z, time: point.time, state });
}

const drawn = document.querySelector("svg.lj");
if (drawn instanceof SVGSVGElement) { bringToLife(drawn); }

/** @param {SVGSVGElement} chart */
function bringToLife(chart) {
  const levels = readLevels(chart);
  const groups = [...chart.querySelectorAll("g.lj-level")];
  const legends = [...chart.querySelectorAll("g.lj-legend")];
  const hidden = new Set();
  const ring = svg("circle", { class: "lj-cursor", r: 9, cx: -99, cy: -99 });
  const line = svg("path", { class: "lj-cursor-line", d: "" });
  chart.prepend(ring);
  chart.insertBefore(line, groups[0] || null);
  chart.append(ring);
  const tip = el("div", { class: "tip", "aria-hidden": "true", hidden: true });
  const plot = /** @type {HTMLElement} */ (chart.parentElement);
  const box = /** @type {HTMLElement} */ (plot.parentElement);
  plot.append(tip);
  const readout = document.getElementById("readout");
  const shown = () => levels.flat().filter((point) => !hidden.has(point.level)).sort((a, b) => a.index - b.index || a.level - b.level);
  // a rule's name belongs to the level of the nearest point that broke it: it goes when its level goes
  const named = [...chart.querySelectorAll("text.lj-rule")].map((text) => {
    const [x, y] = [Number(text.getAttribute("x")), Number(text.getAttribute("y"))];
    const near = levels.flat().filter((point) => point.state === "rejected" && point.rule === text.textContent)
      .sort((a, b) => Math.hypot(a.x - x, a.y - y) - Math.hypot(b.x - x, b.y - y))[0];
    return { text, level: near?.level };
  });
  /** @type {Point | null} */
  let current = null;

  /** @param {Point} point @param {boolean} isByKey */
  function read(point, isByKey) {
    if (point === current) { return; }
    current = point;
    ring.setAttribute("cx", String(point.x));
    ring.setAttribute("cy", String(point.y));
    line.setAttribute("d", `M${point.x} ${chart.dataset.top}V${chart.dataset.bottom}`);
    tip.replaceChildren(
      el("b", {}, `${point.label}: ${point.value}`), el("span", {}, `z ${point.z}`), el("span", {}, point.time),
      el("span", { class: `said ${point.state}` }, [say(`qc.mark.${point.state}`), point.rule].filter(Boolean).join(" · ")),
    );
    tip.hidden = false;
    const scale = chart.clientWidth / chart.viewBox.baseVal.width;
    const [x, y] = [point.x * scale, point.y * scale];
    tip.style.left = `${x + 16 + tip.offsetWidth > chart.clientWidth ? x - 16 - tip.offsetWidth : x + 16}px`;
    tip.style.top = `${Math.min(Math.max(0, y - tip.offsetHeight / 2), chart.clientHeight - tip.offsetHeight)}px`;
    if (readout) { readout.textContent = sentence(point); }
    document.querySelector("tr.read")?.classList.remove("read");
    document.getElementById(`point-${point.point}`)?.closest("tr")?.classList.add("read");
    if (isByKey && (x < box.scrollLeft + 40 || x > box.scrollLeft + box.clientWidth - 40)) { box.scrollLeft = x - box.clientWidth / 2; }
  }

  /** @param {MouseEvent} event @returns {Point | null} the point nearest to the pointer */
  function nearest(event) {
    const frame = chart.getBoundingClientRect();
    const scale = chart.viewBox.baseVal.width / frame.width;
    const [x, y] = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
    let [found, least] = [/** @type {Point | null} */ (null), 60];
    for (const point of shown()) {
      const far = Math.hypot(point.x - x, point.y - y);
      if (far < least) { [found, least] = [point, far]; }
    }
    return found;
  }
  const toRun = () => {
    const row = current && document.getElementById(`point-${current.point}`)?.closest("tr");
    if (row) { row.scrollIntoView({ block: "center" }); row.focus(); }
  };
  plot.addEventListener("pointermove", (event) => { const point = nearest(event); if (point) { read(point, false); } });
  plot.addEventListener("pointerleave", () => { tip.hidden = document.activeElement !== chart; });
  chart.addEventListener("blur", () => { tip.hidden = true; });
  chart.addEventListener("dblclick", toRun);

  // --- keys: letters by their place, so that they work on a Russian layout --------------------------------

  /** @param {Point[]} list @param {number} step */
  function walk(list, step) {
    if (!list.length) { return; }
    const at = current ? list.indexOf(current) : -1;
    const index = current?.index ?? Infinity;
    const next = at >= 0 ? at + step
      : step > 0 ? list.findIndex((point) => point.index > index) : list.findLastIndex((point) => point.index < index);
    const point = list[next] ?? (current ? null : list[list.length - 1]); // the newest is where one begins
    if (point) { read(point, true); }
  }
  /** @param {number} step */
  function change(step) {
    const same = shown().filter((point) => point.index === current?.index);
    const next = current ? same[same.indexOf(current) + step] : null;
    if (next) { read(next, true); }
  }
  const level = () => shown().filter((point) => !current || hidden.has(current.level) || point.level === current.level);
  const violations = () => shown().filter((point) => point.rule);
  /** @type {Record<string, () => void>} */
  const anywhere = {
    BracketLeft: () => walk(violations(), -1), BracketRight: () => walk(violations(), 1),
    Digit1: () => toggle(0), Digit2: () => toggle(1), Digit3: () => toggle(2), Digit4: () => toggle(3),
  };
  /** @type {Record<string, () => void>} */
  const onChart = {
    ArrowLeft: () => walk(level(), -1), ArrowRight: () => walk(level(), 1), ArrowUp: () => change(-1), ArrowDown: () => change(1),
    Home: () => read(shown()[0], true), End: () => read(shown().slice(-1)[0], true), Enter: toRun,
  };
  document.addEventListener("keydown", (event) => {
    if (isTyping(event.target) || event.ctrlKey || event.altKey || event.metaKey || expectsPlace()) { return; }
    const isOnChart = event.target === chart || (event.target === document.body && event.code.match(/^Arrow(Left|Right)$/));
    const act = anywhere[event.code] || (isOnChart ? onChart[event.code] : undefined);
    if (act) { event.preventDefault(); act(); }
  });

  // --- levels on and off ----------------------------------------------------------------------------------

  /** @param {number} number */
  function toggle(number) {
    if (number >= groups.length || (hidden.size === groups.length - 1 && !hidden.has(number))) { return; } // one always stays
    if (!hidden.delete(number)) { hidden.add(number); }
    const isHidden = hidden.has(number);
    groups[number].classList.toggle("off", isHidden);
    legends[number]?.classList.toggle("off", isHidden);
    buttons[number].setAttribute("aria-pressed", String(!isHidden));
    for (const { text, level: of } of named) { text.classList.toggle("off", hidden.has(of)); }
  }
  const buttons = groups.map((group, number) => el("button", {
    type: "button", class: `toggle lj-${number + 1}`, "aria-pressed": "true", "aria-keyshortcuts": String(number + 1), onclick: () => toggle(number),
    "aria-label": say("qcpage.toggle", { level: /** @type {SVGGElement} */ (group).dataset.level }),
  }, el("kbd", {}, String(number + 1)), ` ${/** @type {SVGGElement} */ (group).dataset.level}`));
  if (groups.length > 1) { document.getElementById("toggles")?.append(...buttons); }
  box.scrollLeft = box.scrollWidth; // the newest runs are at the right

  let isTold = false;
  follow(["gate"], (message) => {
    if (isTold || message.topic !== "gate" || !location.pathname.startsWith(`/qc/${String(message.key).replace(":", "/")}`)) { return; }
    isTold = true;
    readout?.before(el("p", { class: "note" }, `${say("qcpage.news")} `, el("a", { href: location.pathname + location.search }, say("qcpage.news_show"))));
  });
}
if (main) { main.dataset.ready = "true"; }
