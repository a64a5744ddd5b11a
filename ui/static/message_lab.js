// @ts-check
// Files may be dropped anywhere on the form, and Ctrl+Enter reads. Without this script the form does the same by
// its own button.
const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const form = /** @type {HTMLFormElement | null} */ (main.querySelector("form[data-drop]"));

if (form) {
  const files = /** @type {HTMLInputElement} */ (form.querySelector("input[type=file]"));
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
  form.addEventListener("dragleave", () => { form.classList.remove("over"); });
  form.addEventListener("drop", (event) => {
    form.classList.remove("over");
    if (event.dataTransfer?.files.length) {
      event.preventDefault();
      files.files = event.dataTransfer.files;
      files.focus();
    }
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { form.requestSubmit(); }
  });
}

// A confirmed answer that is changed afterwards is a new one: it must be confirmed again.
main.addEventListener("change", (event) => {
  const field = /** @type {HTMLInputElement} */ (event.target);
  const row = field.closest("table.asked tr");
  const sure = /** @type {HTMLInputElement | null} */ (row?.querySelector("input[type=checkbox]") || null);
  if (!row || !sure) { return; }
  if (field !== sure) { sure.checked = false; }
  row.classList.toggle("sure", sure.checked);
});
main.dataset.ready = "true";
