// @ts-check
// The desk's lists: look-up, work plan, outstanding. The server draws the page; news and the passing time let it be
// fetched again and its part swapped, but never under somebody's hands. Without this script every page works.
import { ask, el, follow, isTyping, say, toast } from "./shell.js";

const PAUSE_MS = 1500; // between two fetches, however fast news comes
const CLOCK_MS = 30_000; // what is not late now may be late then

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const search = /** @type {HTMLInputElement | null} */ (document.getElementById("search"));
const live = document.getElementById("live");
const part = () => /** @type {HTMLElement | null} */ (main.querySelector("[data-live]"));
const links = () => /** @type {HTMLElement[]} */ ([...main.querySelectorAll("a[data-row]")]);

// --- alive ------------------------------------------------------------------------------------------------

/** Whether somebody is at work inside the part. @param {HTMLElement} node */
function isInUse(node) {
  const isFilled = [...node.querySelectorAll("input:not([type=hidden]), textarea")].some((one) => /** @type {HTMLInputElement} */ (one).value && !one.closest(".done"));
  return isFilled || (isTyping(document.activeElement) && node.contains(document.activeElement)) || Boolean(node.querySelector("details[open]")) || Boolean(String(getSelection() || ""));
}

let isWanted = false;
let isRunning = false;

async function refresh() {
  isWanted = true;
  if (isRunning) { return; }
  isRunning = true;
  while (isWanted) {
    isWanted = false;
    const before = part();
    if (before && !isInUse(before) && !document.hidden) { await swap(before); }
    await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
  }
  isRunning = false;
}

/** @param {HTMLElement} before */
async function swap(before) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) { return; }
  const after = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("part");
  if (!after || isInUse(before)) { return; }
  const at = links().indexOf(/** @type {HTMLElement} */ (document.activeElement));
  before.replaceWith(document.adoptNode(after));
  if (at >= 0) { links()[Math.min(at, links().length - 1)]?.focus({ preventScroll: true }); }
  startEntry();
}

// --- keys -------------------------------------------------------------------------------------------------

/** @param {number} step */
function move(step) {
  const all = links();
  const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))]?.focus();
}

function openTelling() {
  const details = main.querySelector("details.tell");
  if (!(details instanceof HTMLDetailsElement)) { return; }
  details.open = true;
  details.querySelector("input:not([type=hidden])")?.dispatchEvent(new Event("focus"));
  /** @type {HTMLElement | null} */ (details.querySelector("input[name=told_to]"))?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) { return; }
  if (isTyping(event.target)) {
    const isLeaving = event.key === "ArrowDown" && event.target === search;
    if (isLeaving && links().length) { event.preventDefault(); move(1); }
    return;
  }
  if (search && /^[0-9]$/.test(event.key)) { search.value = ""; search.focus(); } // a scanner that nobody pointed anywhere
  if (event.code === "Slash" && !event.shiftKey && search) { event.preventDefault(); search.select(); }
  if (event.code === "KeyJ" || event.key === "ArrowDown") { event.preventDefault(); move(1); }
  if (event.code === "KeyK" || event.key === "ArrowUp") { event.preventDefault(); move(-1); }
  if (event.code === "KeyT" && !event.shiftKey) { event.preventDefault(); openTelling(); }
});

// --- values typed by hand ---------------------------------------------------------------------------------

/** @param {HTMLFormElement} form */
async function enter(form) {
  const field = /** @type {HTMLInputElement} */ (form.elements.namedItem("value"));
  if (!field.value.trim() || field.readOnly) { return; }
  field.readOnly = true;
  try {
    const taken = await ask(`/work-orders/${form.dataset.work}/value`, { method: "POST", body: { value: field.value } });
    form.classList.remove("failed");
    form.classList.add("done");
    form.querySelector(".trouble")?.remove();
    const how = taken.is_released ? "_released" : taken.holds.length ? "_held" : "";
    toast(say(`workplanpage.entered${how}`, { test: taken.test, value: taken.value }));
    const fields = /** @type {HTMLInputElement[]} */ ([...main.querySelectorAll(".value-entry input[name=value]:not([readonly])")]);
    fields.find((one) => form.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING)?.focus();
  } catch (error) {
    field.readOnly = false;
    form.classList.add("failed");
    form.querySelector(".trouble")?.remove();
    form.append(el("span", { class: "chip high trouble", role: "alert" }, error instanceof Error ? error.message : ""));
    field.select();
  }
}

function startEntry() {
  for (const form of main.querySelectorAll("form.value-entry")) {
    if (!(form instanceof HTMLFormElement) || form.dataset.started) { continue; }
    form.dataset.started = "true";
    form.querySelector(".no-script")?.remove();
    form.addEventListener("submit", (event) => { event.preventDefault(); enter(form); });
  }
}

// --- start ------------------------------------------------------------------------------------------------

const print = document.getElementById("print");
if (print) { print.hidden = false; print.addEventListener("click", () => window.print()); }
startEntry();
const topics = part()?.dataset.live?.split(",") || [];
/** @param {boolean} isUp */
const showLive = (isUp) => {
  if (!live) { return; }
  live.classList.toggle("up", isUp);
  live.classList.toggle("down", !isUp);
  live.textContent = (isUp ? live.dataset.up : live.dataset.down) || "";
};
follow(topics, refresh, { onback: refresh, onstate: showLive });
setInterval(refresh, CLOCK_MS);
main.dataset.ready = "true";
