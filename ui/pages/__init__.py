"""The pages: plain HTML from the server, one module a page.

How to add a page
-----------------
1. `ui/pages/<page>.py` with a `router = APIRouter()`. A handler is a plain `def`: it takes who may see it from
   `lis.api.deps` in its signature, calls one function of a service, and returns a picture of it:

       Reader = Annotated[Actor, Depends(Requires(Permission.SEE_QC))]

       @router.get("/qc")
       def show_qc(request: Request, _actor: Reader, laboratory: InLaboratory) -> Response:
           with laboratory.store.read() as session:
               board = read_board(session, laboratory.catalog())
           return show(request, "qc.html", board=board)

   A form posts to a handler of the same module: text fields as `Annotated[str, Form()]`, the hidden field
   `csrf` is checked by `Requires` (a page without login: `dependencies=[OwnForm]`). Success = `go("/qc")`
   (303), a refusal = the page again with `problem=refusal_in_words(request, error)` and status 422.
2. `ui/templates/<page>.html` extends `base.html`; blocks: title, styles, content, scripts, keys, status,
   main_class ("narrow" for one form, "wide" for a screen without margins). Words are `say("area.key")`,
   files `static("qc.js")`. Times are `moment(value)` or `day(value)`: in the site's zone.
3. `ui/static/<page>.js` is an ES module that imports `./shell.js` (words, formats, elements, requests, toasts,
   live channel, keys), `<page>.css` uses the tokens of `tokens.css` only. Nothing inline: neither script nor
   style attribute, the policy forbids both. Words a script needs: `show(..., script_areas=("qc",))`.
   The script sets `data-ready` on `<main>` when the first content stands; tests wait for it.
4. Name the module in `PAGES` of `ui/pages/mounting.py`, and the entry of the header in `ui/pages/navigation.py`.
5. Words in `lis/words/{ru,en}/<area>.toml`; a browser test in `tests/e2e/`.

`account.py` with `account.html` is the smallest complete example.
"""

from ui.pages.mounting import mount_pages

__all__ = ["mount_pages"]
