"""The ASTM link as data: what each input does in each state (LIS01-A2 6.2 to 6.5, figure A1).

Rules of this file:
- Everything the link may do is in `TRANSITIONS`. The diagram in the docs is drawn from it.
- Each pair of state and input stands here. IGNORE is written down; a missing pair is a defect.
- The table does not count and does not measure time. Who feeds it says which case it is: the last
  allowed NAK is another input than the ones before.

States, from our side:

    NEUTRAL      nobody sends
    ENQUIRING    we sent ENQ and wait for the answer
    SENDING      we sent a frame and wait for the answer
    RECEIVING    the peer has the line; we wait for a frame or EOT
    STORING      a good frame is with the keeper; we owe the peer an answer

Contention: both sent ENQ. We fall back to NEUTRAL; how long we then keep silent depends on the
role, so that the instrument enquires first and the host answers.
"""

from enum import StrEnum

__all__ = ["TRANSITIONS", "Action", "Input", "State"]


class State(StrEnum):
    NEUTRAL = "neutral"
    ENQUIRING = "enquiring"
    SENDING = "sending"
    RECEIVING = "receiving"
    STORING = "storing"


class Input(StrEnum):
    # from the line
    ENQ = "enq"
    ENQ_WHEN_BUSY = "enq when busy"  # or when we cannot receive at all
    EOT = "eot"
    ACK = "ack"  # more frames are to be sent
    ACK_LAST = "ack of the last frame"
    INTERRUPT = "eot as a reply"  # with more frames to be sent, and honoured
    NAK = "nak"
    NAK_LAST = "nak, once too often"
    FRAME = "frame"  # right, and the next one
    FRAME_REPEATED = "frame repeated"  # right, and the one accepted before
    FRAME_BAD = "frame bad"
    FRAME_OPENING = "frame without enq"  # frame 1 with an H record outside a session
    TEXT = "unframed message"
    TEXT_CUT = "unframed message cut"
    # from our side
    REQUEST = "request"  # a message waits and we may enquire
    ACCEPT = "accept"
    REFUSE = "refuse"
    # from the clock
    REPLY_TIMEOUT = "reply timeout"
    RECEIVE_TIMEOUT = "receive timeout"
    ANSWER_TIMEOUT = "answer timeout"
    # from the transport
    LOST = "connection lost"


class Action(StrEnum):
    IGNORE = "ignore"
    ENQUIRE = "send ENQ"
    WELCOME = "send ACK, session starts"
    TURN_AWAY = "send NAK to ENQ"
    RESTART = "end the session, start another, send ACK"
    SEND_FIRST = "send the first frame"
    SEND_NEXT = "send the next frame"
    SEND_AGAIN = "send the same frame"
    FINISH = "send EOT, message sent"
    STOP = "send EOT, interrupted"
    GIVE_UP = "send EOT, message refused"
    GIVE_UP_UNANSWERED = "send EOT, message unanswered"
    WAIT_BUSY = "enquire later"
    YIELD = "contention: enquire later"
    WAIT_UNANSWERED = "send EOT, enquire later"
    HAND_OVER = "give the frame to the keeper"
    OPEN_AND_HAND_OVER = "session starts, give the frame to the keeper"
    HAND_OVER_TEXT = "give the unframed message to the keeper"
    KEEP_CUT_TEXT = "give the cut unframed message as evidence"
    ANSWER_AGAIN = "send ACK again"
    REJECT = "send NAK"
    CONFIRM = "take the frame over, send ACK or EOT"
    DENY = "forget the frame, send NAK"
    END = "session ends"
    END_TIMED_OUT = "session ends, the peer fell silent"
    ABANDON = "forget the line"
    ABANDON_SENDING = "forget the line, message not sent"


def _row(**cells: tuple[Action, State]) -> dict[Input, tuple[Action, State]]:
    return {Input[name]: cell for name, cell in cells.items()}


def _complete(
    table: dict[State, dict[Input, tuple[Action, State]]], ignored: dict[State, tuple[Input, ...]]
) -> dict[tuple[State, Input], tuple[Action, State]]:
    """One flat table; every ignored pair is named, so that a forgotten one shows."""
    flat = {(state, what): cell for state, row in table.items() for what, cell in row.items()}
    for state, inputs in ignored.items():
        flat |= {(state, what): (Action.IGNORE, state) for what in inputs}
    return flat


_LINE_REPLIES = (Input.ACK, Input.ACK_LAST, Input.INTERRUPT, Input.NAK, Input.NAK_LAST)
_FRAMES = (
    Input.FRAME,
    Input.FRAME_REPEATED,
    Input.FRAME_BAD,
    Input.FRAME_OPENING,
    Input.TEXT,
    Input.TEXT_CUT,
)
_ANSWERS = (Input.ACCEPT, Input.REFUSE, Input.ANSWER_TIMEOUT)

TRANSITIONS = _complete(
    {
        State.NEUTRAL: _row(
            ENQ=(Action.WELCOME, State.RECEIVING),  # 6.2.5
            ENQ_WHEN_BUSY=(Action.TURN_AWAY, State.NEUTRAL),  # 6.2.6
            FRAME_OPENING=(Action.OPEN_AND_HAND_OVER, State.STORING),
            TEXT=(Action.HAND_OVER_TEXT, State.STORING),
            TEXT_CUT=(Action.KEEP_CUT_TEXT, State.NEUTRAL),
            REQUEST=(Action.ENQUIRE, State.ENQUIRING),
            LOST=(Action.ABANDON, State.NEUTRAL),
        ),
        State.ENQUIRING: _row(
            ACK=(Action.SEND_FIRST, State.SENDING),
            NAK=(Action.WAIT_BUSY, State.NEUTRAL),  # 6.2.6
            ENQ=(Action.YIELD, State.NEUTRAL),  # 6.2.7.1
            ENQ_WHEN_BUSY=(Action.YIELD, State.NEUTRAL),
            REPLY_TIMEOUT=(Action.WAIT_UNANSWERED, State.NEUTRAL),  # 6.5.2.1
            LOST=(Action.ABANDON_SENDING, State.NEUTRAL),
        ),
        State.SENDING: _row(
            ACK=(Action.SEND_NEXT, State.SENDING),  # 6.3.4
            ACK_LAST=(Action.FINISH, State.NEUTRAL),  # 6.4.1
            INTERRUPT=(Action.STOP, State.NEUTRAL),  # 6.3.5
            NAK=(Action.SEND_AGAIN, State.SENDING),  # 6.5.1.2
            NAK_LAST=(Action.GIVE_UP, State.NEUTRAL),  # 6.5.1.2
            REPLY_TIMEOUT=(Action.GIVE_UP_UNANSWERED, State.NEUTRAL),  # 6.5.2.3
            LOST=(Action.ABANDON_SENDING, State.NEUTRAL),
        ),
        State.RECEIVING: _row(
            ENQ=(Action.RESTART, State.RECEIVING),
            ENQ_WHEN_BUSY=(Action.TURN_AWAY, State.RECEIVING),  # 6.2.7
            EOT=(Action.END, State.NEUTRAL),  # 6.4.1
            FRAME=(Action.HAND_OVER, State.STORING),
            FRAME_REPEATED=(Action.ANSWER_AGAIN, State.RECEIVING),  # 6.5.1.1
            FRAME_BAD=(Action.REJECT, State.RECEIVING),  # 6.5.1.1
            TEXT=(Action.HAND_OVER_TEXT, State.STORING),
            TEXT_CUT=(Action.KEEP_CUT_TEXT, State.RECEIVING),
            RECEIVE_TIMEOUT=(Action.END_TIMED_OUT, State.NEUTRAL),  # 6.5.2.4
            LOST=(Action.ABANDON, State.NEUTRAL),
        ),
        State.STORING: _row(
            ACCEPT=(Action.CONFIRM, State.RECEIVING),
            REFUSE=(Action.DENY, State.RECEIVING),
            ANSWER_TIMEOUT=(Action.DENY, State.RECEIVING),  # 6.3.4.1
            LOST=(Action.ABANDON, State.NEUTRAL),
        ),
    },
    ignored={
        State.NEUTRAL: (  # 6.2.6: in the neutral state all else is ignored
            Input.EOT,
            *_LINE_REPLIES,
            Input.FRAME,
            Input.FRAME_REPEATED,
            Input.FRAME_BAD,
            *_ANSWERS,
            Input.REPLY_TIMEOUT,
            Input.RECEIVE_TIMEOUT,
        ),
        State.ENQUIRING: (  # 6.2.4: all but ACK, NAK and ENQ is ignored
            Input.EOT,
            Input.ACK_LAST,
            Input.INTERRUPT,
            Input.NAK_LAST,
            *_FRAMES,
            Input.REQUEST,
            *_ANSWERS,
            Input.RECEIVE_TIMEOUT,
        ),
        State.SENDING: (  # what is no reply was counted as NAK before it came here (6.5.1.2)
            Input.ENQ,
            Input.ENQ_WHEN_BUSY,
            Input.EOT,
            *_FRAMES,
            Input.REQUEST,
            *_ANSWERS,
            Input.RECEIVE_TIMEOUT,
        ),
        State.RECEIVING: (
            *_LINE_REPLIES,
            Input.FRAME_OPENING,
            Input.REQUEST,
            *_ANSWERS,
            Input.REPLY_TIMEOUT,
        ),
        State.STORING: (  # bytes wait unread until the keeper answered
            Input.ENQ,
            Input.ENQ_WHEN_BUSY,
            Input.EOT,
            *_LINE_REPLIES,
            *_FRAMES,
            Input.REQUEST,
            Input.REPLY_TIMEOUT,
            Input.RECEIVE_TIMEOUT,
        ),
    },
)
