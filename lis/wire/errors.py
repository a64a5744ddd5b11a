"""Who broke the protocol: they or we.

    ProtocolError
     +-- RemoteProtocolError   the peer sent bytes the protocol forbids: keep them, log, answer
     +-- LocalProtocolError    our own code asked for something forbidden: a bug, let it crash

The promise of every module in `lis.wire`: whatever bytes arrive, nothing but a
`RemoteProtocolError` comes out; whatever our callers do wrong, nothing but a
`LocalProtocolError`. Any other exception is a defect.

Messages say what was expected, what came and where, and never quote a whole record: they
travel into logs, and a record may hold a patient's name.
"""

__all__ = ["LocalProtocolError", "ProtocolError", "RemoteProtocolError"]


class ProtocolError(Exception):
    """Base of both; catch it where it does not matter who was wrong."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something the protocol does not allow."""


class LocalProtocolError(ProtocolError):
    """We tried to do something the protocol does not allow: our defect, not the peer's."""
