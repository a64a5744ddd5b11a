// @ts-check
// Order entry by keyboard: find or type a patient, short codes become chips, tubes are counted while one types.
// Without this script the page works as a plain form.
import { ask, el, knows, moment, say, time } from "./shell.js";

const ADVICE_PAUSE_MS = 200;
const DRAFT_PAUSE_MS = 1500;

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
  /** @type {{code: string, name: string, types: string[], panel: boolean, short: string[]}[]} */
  const everything = JSON.parse(get("orderables").textContent);
  const byCode = new Map(everything.map((one) => [one.code.toLowerCase(), one]));
  for (const one of everything) {
    for (const short of one.short) { if (!byCode.has(short.toLowerCase())) { byCode.set(short.toLowerCase(), one); } }
  }
  const [search, typed, chips, unknown, problem, newcomer] = ["search", "codes", "chips", "unknown", "problem", "newcomer"].map(get);
  /** @type {Map<string, typeof everything[0]>} */
  const chosen = new Map();
  const codes = el("input", { type: "hidden", name: "codes" });
  for (const node of document.querySelectorAll("[data-plain]")) { node.remove(); }
  typed.removeAttribute("name");
  typed.after(codes);
  form.patient.disabled = false;
  get("another").hidden = false;
  let isSaving = false;

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
    form.dispatchEvent(new Event("input"));
    (patient ? typed : search).focus();
  };
  const draw = () => {
    codes.setAttribute("value", [...chosen.keys()].join(" "));
    chips.hidden = !chosen.size;
    chips.replaceChildren(...[...chosen.values()].map((one) => el("li", { class: "chip" }, el("b", {}, one.code), ` ${one.name} `,
      el("button", { type: "button", "aria-label": say("orderpage.remove", { code: one.code }), onclick: () => { chosen.delete(one.code); draw(); typed.focus(); } }, "×"))));
    const types = [...new Set([...chosen.values()].flatMap((one) => one.types))];
    if (!types.length) { get("warnings").hidden = true; }
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
  const byText = (/** @type {string} */ text) => everything.filter((one) => !chosen.has(one.code) && (one.code.toLowerCase().startsWith(text) || one.short.some((short) => short.toLowerCase().startsWith(text)) || one.name.toLowerCase().includes(text))).slice(0, 8);
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

  // --- advice and draft: asked of the server while one types; the form works without both -----------------
  const fields = () => ({
    codes: [...chosen.keys()].join(" "), patient: form.patient.value, family_name: newcomer.disabled ? "" : form.family_name.value,
    birth_date: form.birth_date.value.slice(0, 32), sex: form.sex.value, collection: form.collection.value, priority: form.priority.value, requester: form.requester.value,
  });
  /** @param {any} one */
  const tubeChip = (one) => {
    const cap = knows(`orderpage.cap.${one.cap}`) ? say(`orderpage.cap.${one.cap}`) : one.cap;
    const kind = [one.container || material(one.specimen_type), cap].filter(Boolean).join(", ");
    return el("span", { class: "chip low tube-needed", title: one.tests.join(" ") }, one.count > 1 ? `${one.count} × ` : "", kind);
  };
  let asked = 0;
  const advise = async () => {
    const mine = ++asked;
    const advice = chosen.size ? await ask("/order-advice", { method: "POST", body: fields() }).catch(() => null) : null;
    if (!advice || mine !== asked) { return; }
    const count = advice.tubes.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.count, 0);
    get("tubes").replaceChildren(el("b", {}, say("orderpage.tubes_count", { count })), " ", ...advice.tubes.flatMap((/** @type {any} */ one) => [tubeChip(one), " "]));
    const list = get("warnings");
    list.hidden = !advice.warnings.length;
    list.replaceChildren(...advice.warnings.map((/** @type {any} */ one) => el("li", { class: `note ${one.code === "fasting" || one.code === "twice_here" ? "" : "warning"}`, "data-code": null }, say(`orderpage.warn.${one.code}`, { tests: one.tests.join(", "), at: moment(one.at).replace(/:\d\d$/, "") }))));
  };
  const keep = async () => {
    if (isSaving || (!chosen.size && !form.patient.value && !form.family_name.value)) { return; }
    const rest = { given_name: form.given_name.value, middle_name: form.middle_name.value, identifier: form.identifier.value, collected_at: form.collected_at.value, is_received: form.is_received.checked, ward: form.ward.value, notes: form.notes.value };
    try {
      await ask("/order-draft", { method: "PUT", body: { ...fields(), ...rest } });
      get("saved").textContent = say("orderpage.draft_saved", { at: time(new Date().toISOString()) });
    } catch { /* the next change tries again; a form that is placed needs no draft */ }
  };
  let adviceTimer = 0;
  let draftTimer = 0;
  let keeping = Promise.resolve(); // a draft on its way must not arrive after the order
  const changed = () => {
    clearTimeout(adviceTimer);
    clearTimeout(draftTimer);
    adviceTimer = setTimeout(advise, ADVICE_PAUSE_MS);
    draftTimer = setTimeout(() => { keeping = keep(); }, DRAFT_PAUSE_MS);
  };
  new MutationObserver(changed).observe(codes, { attributes: true, attributeFilter: ["value"] });
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  const draft = get("draft");
  if (draft) {
    draft.hidden = false;
    const kept = JSON.parse(get("drafted").textContent);
    get("draft-drop").addEventListener("click", () => { draft.remove(); ask("/order-draft", { method: "DELETE" }).catch(() => null); search.focus(); });
    get("draft-take").addEventListener("click", () => {
      draft.remove();
      for (const name of ["family_name", "given_name", "middle_name", "birth_date", "identifier", "collected_at", "requester", "ward", "notes", "sex", "collection", "priority"]) { if (kept[name] !== undefined) { form[name].value = kept[name]; } }
      form.is_received.checked = Boolean(kept.is_received);
      typed.value = kept.codes || "";
      addTyped();
      choosePatient(kept.chosen);
      if (!kept.chosen) { form.family_name.focus(); }
      form.dispatchEvent(new Event("change"));
    });
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isSaving) { return; }
    if (!form.patient.value && !form.family_name.value.trim()) { tell(problem, say("orderpage.choose_patient_first")); search.focus(); return; }
    if (!addTyped()) { typed.focus(); return; }
    if (!chosen.size) { tell(problem, say("orderpage.codes_missing")); typed.focus(); return; }
    isSaving = true;
    clearTimeout(draftTimer);
    try {
      await keeping;
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
