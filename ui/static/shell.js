// @ts-check
// What every page's module builds on: words, formats, elements, requests, toasts, the session banner, keys that
// go from page to page. Nothing inline, nothing from elsewhere: the policy forbids it.

const root = document.documentElement;
/** Language and time zone of the page. */
export const language = root.lang || "en";
const zone = document.body.dataset.zone || "UTC";
let csrf = document.body.dataset.csrf || "";

/** @type {Record<string, string>} */
const words = JSON.parse(document.getElementById("words")?.textContent || "{}");
const plural = new Intl.PluralRules(language);

/**
 * The sentence for a key; `count` chooses the plural form; an unknown key shows itself.
 * @param {string} key
 * @param {Record<string, unknown>} [parameters]
 * @returns {string}
 */
export function say(key, parameters = {}) {
  let text = words[key];
  if (text === undefined && typeof parameters.count === "number") {
    text = words[`${key}.${plural.select(parameters.count)}`] ?? words[`${key}.other`] ?? words[`${key}.many`];
  }
  return text === undefined ? key : text.replace(/\{(\w+)\}/g, (all, name) => String(parameters[name] ?? all));
}
/** @param {string} key */
export const knows = (key) => key in words;

const TIME = new Intl.DateTimeFormat(language, { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { timeZone: zone, day: "2-digit", month: "2-digit", year: "2-digit" });
const LONG = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { timeZone: zone, day: "2-digit", month: "2-digit", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
/** @param {string | null | undefined} iso */
export const time = (iso) => (iso ? TIME.format(new Date(iso)) : "");
/** @param {string | null | undefined} iso */
export const day = (iso) => (iso ? DAY.format(new Date(iso)) : "");
/** @param {string | null | undefined} iso */
export const moment = (iso) => (iso ? LONG.format(new Date(iso)) : "");

/**
 * Make an element: `el("td", {class: "number"}, "4.87")`. Text is text, never markup.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on") && typeof value === "function") {
      node.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/**
 * The same for SVG.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string)} children
 */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) { node.setAttribute(name, String(value)); }
  node.append(...children);
  return node;
}

/** An answer that was not 2xx, in the person's words. */
export class Problem extends Error {
  /** @param {{status: number, code: string, title: string, detail: string, row?: any}} body */
  constructor(body) {
    super(body.detail || body.title);
    this.status = body.status;
    this.code = body.code;
    this.row = body.row;
  }
}

/**
 * Ask the API. Throws `Problem`; an ended session also shows the sign-in banner, and nothing typed is lost.
 * @param {string} path below /api/v1
 * @param {{method?: string, body?: unknown, signal?: AbortSignal}} [options]
 */
export async function ask(path, { method = "GET", body, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (method !== "GET") { headers["X-CSRF-Token"] = csrf; }
  if (body !== undefined) { headers["Content-Type"] = "application/json"; }
  let answer;
  try {
    const options = { method, headers, signal, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    answer = await fetch(`/api/v1${path}`, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") { throw error; }
    throw new Problem({ status: 0, code: "unreachable", title: say("ui.unreachable"), detail: "" });
  }
  if (answer.ok) { return answer.status === 204 ? null : answer.json(); }
  const isProblem = (answer.headers.get("content-type") || "").includes("json");
  const problem = new Problem(isProblem ? await answer.json() : { status: answer.status, code: "error", title: say("ui.problem.title.unknown"), detail: "" });
  if (problem.status === 401) { sessionEnded(); }
  throw problem;
}

/** @type {(() => void)[]} */
const whenBack = [];
let isEnded = false;

/** Show the banner that leads to the login in another tab; this page keeps what was typed. */
export function sessionEnded() {
  isEnded = true;
  const banner = document.getElementById("session-ended");
  if (banner) { banner.hidden = false; }
}

// Back from the login tab: take the new session's token and go on; another person gets a page of his own.
window.addEventListener("focus", async () => {
  if (!isEnded) { return; }
  const answer = await fetch("/api/v1/session").catch(() => null);
  if (!answer?.ok) { return; }
  const session = await answer.json();
  if (session.login !== document.body.dataset.login) { location.reload(); return; }
  isEnded = false;
  csrf = session.csrf;
  const banner = document.getElementById("session-ended");
  if (banner) { banner.hidden = true; }
  for (const resume of whenBack.splice(0)) { resume(); }
});

/**
 * Show a short message above everything; returns the function that removes it.
 * @param {string} text
 * @param {{kind?: string, seconds?: number, action?: string, key?: string, onaction?: () => void}} [options]
 */
export function toast(text, { kind = "", seconds = 6, action, key, onaction } = {}) {
  const place = document.getElementById("toasts");
  const node = el("div", { class: `toast ${kind}`, role: kind === "problem" ? "alert" : null }, el("span", {}, text));
  const remove = () => node.remove();
  if (action) {
    node.append(el("button", { type: "button", onclick: () => { remove(); onaction?.(); } }, action, " ", key ? el("kbd", {}, key) : null));
  }
  place?.append(node);
  while (place && place.children.length > 3) { place.firstElementChild?.remove(); }
  if (seconds) { setTimeout(remove, seconds * 1000); }
  return remove;
}

/**
 * Follow the live channel; reconnects with back-off. `onback` is called after each reconnection: re-read then.
 * @param {string[]} topics
 * @param {(message: any) => void} onmessage
 * @param {{onback?: () => void, onstate?: (isUp: boolean) => void}} [options]
 */
export function follow(topics, onmessage, { onback, onstate } = {}) {
  const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/live?topics=${topics.join(",")}`;
  let wait = 500;
  let wasUp = false;
  const open = () => {
    const socket = new WebSocket(address);
    socket.onopen = () => {
      wait = 500;
      onstate?.(true);
      if (wasUp) { onback?.(); }
      wasUp = true;
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.topic === "session") { sessionEnded(); } else { onmessage(message); }
    };
    socket.onclose = (event) => {
      onstate?.(false);
      if (event.code === 4401) { whenBack.push(open); sessionEnded(); return; }
      if (event.code === 4403) { return; }
      setTimeout(open, wait * (0.7 + Math.random() * 0.6));
      wait = Math.min(wait * 2, 15000);
    };
  };
  open();
}

/** Whether keys belong to a field that is being typed into. @param {EventTarget | null} target */
export function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && !(target instanceof HTMLInputElement && target.type === "checkbox"));
}

// --- keys of every page: G then a letter goes to a page, ? shows the sheet --------------------------------

/** @type {Record<string, string>} */
const places = JSON.parse(document.body.dataset.places || "{}"); // event.code -> path
let isGoing = false;
/** Whether the last key was G and a place is expected next. */
export const expectsPlace = () => isGoing;

document.addEventListener("keydown", (event) => {
  if (isTyping(event.target) || event.ctrlKey || event.altKey || event.metaKey) { return; }
  const sheet = document.getElementById("keys");
  if (isGoing) {
    isGoing = false;
    if (places[event.code]) { event.preventDefault(); event.stopImmediatePropagation(); location.assign(places[event.code]); }
  } else if (event.code === "KeyG" && !event.shiftKey) {
    isGoing = true;
    setTimeout(() => { isGoing = false; }, 1200);
  } else if (event.key === "?" && sheet) {
    event.preventDefault();
    toggleSheet(sheet, sheet.hidden);
  } else if (event.key === "Escape" && sheet && !sheet.hidden) {
    event.stopImmediatePropagation();
    toggleSheet(sheet, false);
  }
}, true);

/** @type {Element | null} */
let before = null;
/** @param {HTMLElement} sheet @param {boolean} isShown */
function toggleSheet(sheet, isShown) {
  if (isShown) { before = document.activeElement; }
  sheet.hidden = !isShown;
  if (isShown) { sheet.focus(); } else if (before instanceof HTMLElement) { before.focus(); }
}
document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const sheet = document.getElementById("keys");
  if (sheet && target?.closest("[data-keys]")) { toggleSheet(sheet, sheet.hidden); }
  const more = document.querySelector("[data-more]");
  if (more instanceof HTMLDetailsElement && !target?.closest("[data-more]")) { more.open = false; }
});

document.documentElement.dataset.shell = "ready"; // the keys work from here on
