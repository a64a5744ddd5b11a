// @ts-check
// Order entry by keyboard: find or type a patient, short codes become chips, tubes are counted while one types.
// Without this script the page works as a plain form.
import { ask, el, say } from "./shell.js";

/** @param {string} id @returns {any} */
const get = (id) => document.getElementById(id);
/** @param {string} code */
const material = (code) => { const key = `orderpage.material.${code}`; const name = say(key); return name === key ? code : name; };

/**
 * A field with a list below it: arrows move, Enter chooses. Enter with nothing marked goes to `onenter`.
 * @param {HTMLInputElement} input @param {HTMLElement} list
 * @param {{find: (text: string) => Promise<any[]>, line: (item: any) => (Node | string)[], choose: (item: any) => void, onenter: () => void}} options
 */
function startPicker(input, list, { find, line, choose, onenter }) {
  /** @type {any[]} */
  let items = [];
  let at = -1;
  let asked = 0;
  const mark = () => {
    [...list.children].forEach((node, index) => node.setAttribute("aria-selected", String(index === at)));
    list.children[at]?.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", at < 0 ? "" : `${list.id}-${at}`);
  };
  /** @param {any[]} found */
  const show = (found) => {
    items = found;
    at = -1;
    list.replaceChildren(...found.map((item, index) => el("li", { id: `${list.id}-${index}`, role: "option", onmousedown: (/** @type {Event} */ event) => { event.preventDefault(); pick(index); } }, ...line(item))));
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
    mark();
  };
  /** @param {number} index */
  const pick = (index) => { const item = items[index]; show([]); choose(item); };
  const search = async () => {
    const mine = ++asked;
    const found = await find(input.value.trim()).catch(() => []);
    if (mine === asked) { show(found); }
  };
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", list.id], ["aria-expanded", "false"]]) { input.setAttribute(name, value); }
  input.addEventListener("input", search);
  input.addEventListener("blur", () => { asked += 1; show([]); });
  input.addEventListener("keydown", async (event) => {
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && items.length) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      at = (at + step + items.length + (at < 0 && step < 0 ? 1 : 0)) % items.length;
      mark();
    } else if (event.key === "Escape") { show([]); } else if (event.key === "Enter" && !event.ctrlKey) {
      event.preventDefault();
      event.stopPropagation();
      if (at >= 0) { pick(at); } else { onenter(); }
    }
  });
  return show;
}

/** @param {HTMLFormElement} form */
function startEntry(form) {
  /** @type {{code: string, name: string, types: string[], panel: boolean}[]} */
  const everything = JSON.parse(get("orderables").textContent);
  const byCode = new Map(everything.map((one) => [one.code.toLowerCase(), one]));
  const [search, typed, chips, unknown, problem, newcomer] = ["search", "codes", "chips", "unknown", "problem", "newcomer"].map(get);
  /** @type {Map<string, typeof everything[0]>} */
  const chosen = new Map();
  const codes = el("input", { type: "hidden", name: "codes" });
  for (const node of document.querySelectorAll("[data-plain]")) { node.remove(); }
  typed.removeAttribute("name");
  typed.after(codes);
  form.patient.disabled = false;
  get("another").hidden = false;

  /** @param {HTMLElement} place @param {string} text */
  const tell = (place, text) => { place.textContent = text; place.hidden = !text; };

  /** @param {any} patient */
  const choosePatient = (patient) => {
    form.patient.value = patient ? patient.public_id : "";
    get("chosen-name").textContent = patient ? patient.name : "";
    get("chosen-facts").textContent = patient ? [patient.birth_date, say(`orderpage.sex.${patient.sex}`), ...patient.identifiers].filter(Boolean).join(" · ") : "";
    get("chosen").hidden = !patient;
    get("finding").hidden = newcomer.hidden = newcomer.disabled = Boolean(patient);
    search.value = "";
    tell(problem, "");
    (patient ? typed : search).focus();
  };
  const draw = () => {
    codes.setAttribute("value", [...chosen.keys()].join(" "));
    chips.hidden = !chosen.size;
    chips.replaceChildren(...[...chosen.values()].map((one) => el("li", { class: "chip" }, el("b", {}, one.code), ` ${one.name} `,
      el("button", { type: "button", "aria-label": say("orderpage.remove", { code: one.code }), onclick: () => { chosen.delete(one.code); draw(); typed.focus(); } }, "×"))));
    const types = [...new Set([...chosen.values()].flatMap((one) => one.types))];
    get("tubes").replaceChildren(...(types.length ? [el("b", {}, say("orderpage.tubes_count", { count: types.length })), " ", ...types.flatMap((type) => [el("span", { class: "chip low" }, material(type)), " "])] : [el("span", { class: "muted" }, say("orderpage.tubes_none"))]));
  };
  // Known codes become chips; an unknown one stays in the field and is told.
  const addTyped = () => {
    const left = [];
    for (const word of typed.value.split(/[\s,;]+/).filter(Boolean)) {
      const one = byCode.get(word.toLowerCase());
      if (one) { chosen.set(one.code, one); } else { left.push(word); }
    }
    typed.value = left.join(" ");
    tell(unknown, left.length ? say("orderpage.unknown_code", { code: left.join(", ") }) : "");
    draw();
    return !left.length;
  };
  const next = (/** @type {HTMLElement} */ from) => {
    const fields = /** @type {HTMLElement[]} */ ([...form.querySelectorAll("input:not([type=hidden]), select, textarea, #save")].filter((one) => one instanceof HTMLElement && one.offsetParent && !one.matches(":disabled") && (one === from || !one.matches("[type=radio]:not(:checked)"))));
    fields[fields.indexOf(from) + 1]?.focus();
  };
  startPicker(search, get("found"), {
    find: async (text) => (text.length < 2 ? [] : ask(`/patients?text=${encodeURIComponent(text)}`)),
    line: (patient) => [patient.name, el("small", {}, [patient.birth_date, ...patient.identifiers].filter(Boolean).join(" · "))],
    choose: choosePatient,
    onenter: async () => {
      const found = search.value.trim().length < 2 ? [] : await ask(`/patients?text=${encodeURIComponent(search.value.trim())}`).catch(() => []);
      if (found.length === 1) { choosePatient(found[0]); } else if (!found.length) { form.family_name.focus(); }
    },
  });
  const byText = (/** @type {string} */ text) => everything.filter((one) => !chosen.has(one.code) && (one.code.toLowerCase().startsWith(text) || one.name.toLowerCase().includes(text))).slice(0, 8);
  startPicker(typed, get("suggested"), {
    find: async (text) => { const last = text.split(/[\s,;]+/).pop()?.toLowerCase(); return last ? byText(last) : []; },
    line: (one) => [el("b", {}, one.code), ` ${one.name}`],
    choose: (one) => { typed.value = typed.value.replace(/[^\s,;]*\s*$/, one.code); addTyped(); },
    onenter: () => { if (typed.value.trim()) { addTyped(); typed.dispatchEvent(new Event("input")); } else { next(typed); } },
  });
  typed.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Backspace" && !typed.value && chosen.size) { chosen.delete([...chosen.keys()].at(-1) ?? ""); draw(); }
  });
  get("another").addEventListener("click", () => choosePatient(null));
  form.addEventListener("click", (event) => {
    const code = event.target instanceof Element && event.target.closest("[data-code]")?.getAttribute("data-code");
    const one = code && byCode.get(code.toLowerCase());
    if (one) { chosen.set(one.code, one); draw(); }
  });
  form.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.key !== "Enter" || event.ctrlKey || !(target instanceof HTMLInputElement)) { return; }
    event.preventDefault(); // a scanner's Enter moves on; only F9, Ctrl+Enter and the button save
    next(target);
  });
  form.addEventListener("change", () => {
    const isTimed = ["exact", "estimated"].includes(form.collection.value);
    get("when").hidden = !isTimed;
    form.collected_at.required = isTimed;
  });
  document.addEventListener("keydown", (event) => {
    if (event.code === "F9" || (event.key === "Enter" && event.ctrlKey)) { event.preventDefault(); if (!event.repeat) { form.requestSubmit(get("save")); } }
  });

  let isSaving = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isSaving) { return; }
    if (!form.patient.value && !form.family_name.value.trim()) { tell(problem, say("orderpage.choose_patient_first")); search.focus(); return; }
    if (!addTyped()) { typed.focus(); return; }
    if (!chosen.size) { tell(problem, say("orderpage.codes_missing")); typed.focus(); return; }
    isSaving = true;
    try {
      form.csrf.value = (await ask("/session")).csrf; // an ended session shows its banner and nothing typed is lost
      form.submit();
    } catch (error) {
      isSaving = false;
      tell(problem, error instanceof Error ? error.message : "");
    }
  });
  window.addEventListener("pageshow", () => { isSaving = false; });
  if (form.patient.value) { get("finding").hidden = true; typed.focus(); }
  addTyped();
  form.dispatchEvent(new Event("change"));
}

startEntry(get("entry"));
get("main").dataset.ready = "true";
