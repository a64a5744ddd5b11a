"""Users, roles and sessions: who is asking, and what that person may do."""

from lis.access.sessions import Actor, SignedIn, actor_of, sign_in, sign_out

__all__ = ["Actor", "SignedIn", "actor_of", "sign_in", "sign_out"]
