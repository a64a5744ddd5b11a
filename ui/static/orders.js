// @ts-check
// The order pages: reception's scan field, the receipt that is shown once. Without this script
// every page works as a plain form.
import { ask, el, isTyping, say } from "./shell.js";

/** @param {string} id @returns {any} */
const get = (id) => document.getElementById(id);
/** @param {string} code */
const material = (code) => { const key = `orderpage.material.${code}`; const name = say(key); return name === key ? code : name; };
const SCANS_SHOWN = 5;

// --- reception ------------------------------------------------------------------------------------------------

/** @param {HTMLFormElement} form */
function startReception(form) {
  const field = form.accession;
  const lines = get("scanned");
  /** @param {string} kind @param {...(Node | string)} parts */
  const tell = (kind, ...parts) => {
    lines.prepend(el("li", { class: `note ${kind}` }, ...parts));
    while (lines.children.length > SCANS_SHOWN) { lines.lastElementChild.remove(); }
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const accession = field.value.trim();
    field.value = "";
    field.focus();
    if (!accession) { return; }
    try {
      const tube = await ask("/specimens/receive", { method: "POST", body: { accession } });
      const link = el("a", { class: "mono", href: `/orders/${tube.requisition}` }, tube.accession);
      const facts = [say("orderpage.received_tube", { material: material(tube.specimen_type), name: tube.patient.name }), tube.patient.birth_date].filter(Boolean).join(", ");
      const head = el("b", {}, say(tube.was_here ? "orderpage.received_before" : "orderpage.received"));
      tell(tube.was_here ? "warning" : "done", head, " ", link, ` ${facts} · ${say("orderpage.tests_count", { count: tube.tests })}`);
    } catch (error) {
      const why = error instanceof Error ? error.message : "";
      const number = why.includes(accession) ? "" : el("span", { class: "mono" }, `${accession} `);
      tell("problem", el("b", {}, say("orderpage.not_received")), " ", number, why);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (isTyping(event.target) || event.ctrlKey || event.altKey || event.metaKey) { return; }
    if (/^[0-9]$/.test(event.key)) { field.focus(); } // a scanner that nobody pointed anywhere
    if (event.code === "KeyN") { location.assign("/orders/new"); }
    if (event.code === "Slash" && !event.shiftKey) { event.preventDefault(); document.querySelector("input[type=search]")?.focus(); }
  });
}

// --- one referral ---------------------------------------------------------------------------------------------

/** @param {HTMLElement} order */
function startOrder(order) {
  const print = document.getElementById("print");
  if (!print) { return; }
  history.replaceState(null, "", order.dataset.address); // reloading shows the referral, never the code again
  print.hidden = false;
  print.addEventListener("click", () => window.print());
  print.focus();
}

const [reception, order] = [get("scan"), document.querySelector(".order")];
if (reception) { startReception(reception); }
if (order instanceof HTMLElement) { startOrder(order); }
get("main").dataset.ready = "true";
