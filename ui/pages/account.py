"""One's own account: who I am here, and my password. The smallest complete page: start from it."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from lis.access.users import change_own_password
from lis.api.deps import InLaboratory, SignedIn
from lis.domain.errors import Refused
from ui.pages.showing import go, refusal_in_words, show

Text = Annotated[str, Form(max_length=256)]

router = APIRouter()


@router.get("/account")
def show_account(request: Request, _actor: SignedIn, *, done: bool = False) -> Response:
    """Name, roles, and the form for a new password."""
    return show(request, "account.html", is_done=done)


@router.post("/account/password")
def change_password(
    request: Request, actor: SignedIn, laboratory: InLaboratory, old: Text, new: Text
) -> Response:
    """Change one's own password; the present one is asked again."""
    try:
        with laboratory.store.unit(actor.login) as unit:
            change_own_password(unit, actor.user_id, old=old, new=new)
    except Refused as refusal:
        problem = refusal_in_words(request, refusal)
        return show(request, "account.html", status=422, is_done=False, problem=problem)
    return go("/account?done=true")
