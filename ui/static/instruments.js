// @ts-check
// Keeps a page that the server drew alive: ages tick, and news lets the page be fetched and its part swapped, at
// most once a second. Without this script the page says the same as of its loading.
//
// A swap waits while somebody types into the part or has opened something in it: nothing moves under the hands.
import { follow, say } from "./shell.js";

const PAUSE_MS = 1000; // between two fetches, however fast news comes
const TICK_MS = 1000;

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const live = document.getElementById("live");
const AGES = /** @type {[number, string][]} */ ([[86400, "days"], [3600, "hours"], [60, "minutes"], [1, "seconds"]]);
let drawnAt = performance.now();

/** @param {number} seconds */
function age(seconds) {
  const [size, name] = AGES.find(([one]) => seconds >= one) || AGES[AGES.length - 1];
  return say("instruments.ago", { age: `${Math.floor(seconds / size)} ${say(`instruments.${name}_short`)}` });
}

function tick() {
  const passed = (performance.now() - drawnAt) / 1000;
  for (const node of main.querySelectorAll("[data-age]")) {
    node.textContent = age(Math.floor(Number(/** @type {HTMLElement} */ (node).dataset.age) + passed));
  }
}

const part = () => /** @type {HTMLElement | null} */ (main.querySelector("[data-live]"));

/** Whether a person is at work inside the part. @param {HTMLElement} node */
function isInUse(node) {
  const field = document.activeElement;
  const isTyped = [...node.querySelectorAll("input:not([type=hidden])")].some((one) => /** @type {HTMLInputElement} */ (one).value);
  return isTyped || (field instanceof HTMLInputElement && node.contains(field)) || String(getSelection() || "").length > 0;
}

/** How to find the focused element again in the new part. @param {HTMLElement} node */
function placeOfFocus(node) {
  const focused = document.activeElement;
  if (!focused || !node.contains(focused)) { return -1; }
  return [...node.querySelectorAll("a, button, [tabindex]")].indexOf(focused);
}

/** @param {HTMLElement} before @param {HTMLElement} after */
function swap(before, after) {
  const focus = placeOfFocus(before);
  const scrolled = [...before.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  before.replaceWith(after);
  drawnAt = performance.now();
  after.querySelectorAll(".scroll").forEach((one, index) => { one.scrollLeft = scrolled[index] || 0; });
  const target = focus < 0 ? null : after.querySelectorAll("a, button, [tabindex]")[focus];
  if (target instanceof HTMLElement) { target.focus({ preventScroll: true }); }
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
    if (before && isInUse(before)) {
      isWanted = true; // later, when the hands are off
    } else if (before && !document.hidden) {
      await fetchPart(before);
    }
    await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
  }
  isRunning = false;
}

/** @param {HTMLElement} before */
async function fetchPart(before) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) { return; } // signed out or no server: the live channel says so
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(before.id);
  if (fresh && fresh.innerHTML !== before.innerHTML && !isInUse(before)) { swap(before, document.adoptNode(fresh)); }
}

setInterval(tick, TICK_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden && part()) { refresh(); } });
const topics = part()?.dataset.live;
if (topics) {
  follow(topics.split(","), refresh, {
    onback: refresh,
    onstate: (isUp) => {
      if (live) { live.className = `live ${isUp ? "up" : "down"}`; live.textContent = (isUp ? live.dataset.up : live.dataset.down) || ""; }
    },
  });
}
main.dataset.ready = "true";
