// @ts-check
// The receipt's link carries the code after #, which browsers never send. Put it into the form and wipe it from
// the address bar, so that it stays in no history; go to the first thing that is left to type.
const field = /** @type {HTMLInputElement | null} */ (document.getElementById("code"));
const problem = document.getElementById("problem");

function takeCode() {
  let code = "";
  try {
    code = decodeURIComponent(location.hash.slice(1));
  } catch {
    code = ""; // not a code: the person types it from the paper
  }
  if (location.hash) { history.replaceState(null, "", location.pathname + location.search); }
  if (!field || !code) { return; }
  field.value = code.slice(0, field.maxLength);
  document.getElementById("day")?.focus();
}

takeCode();
window.addEventListener("hashchange", takeCode);
problem?.focus();

// Another language keeps what was typed: the code goes along after #, where this script finds it again.
for (const link of document.querySelectorAll("a[data-keep]")) {
  link.addEventListener("click", () => {
    if (link instanceof HTMLAnchorElement && field?.value) { link.hash = encodeURIComponent(field.value); }
  });
}
