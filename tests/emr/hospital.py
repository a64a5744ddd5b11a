"""A hospital that speaks HL7: messages as text, with a moment and a number of their own."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """One message to be sent; `head` is everything of MSH from MSH-9 on, `body` the other segments."""

    kind: str
    minute: int
    number: int
    body: tuple[str, ...]
    version: str = "2.5.1"
    acks: str = "|"  # MSH-15 and MSH-16

    def raw(self, place=""):
        at = f"2026110210{self.minute:02}00"
        head = (
            f"MSH|^~\\&|HIS|HOSP|LIS|LAB|{at}||{self.kind}|{self.number}|P|{self.version}"
            f"|||{self.acks}||UNICODE UTF-8"
        )
        text = "\r".join([head, *self.body, ""])
        return text.replace("@", place).encode()


def pid(number, name="", born="", sex=""):
    return f"PID|1||{number}@^^^HOSP^MR||{name}||{born}|{sex}"


def order(
    control, number, patient, code="", *, minute=0, serial=1, notes="", kind="OML^O21^OML_O21"
):
    body = [pid(patient, "Примерова^Анна"), f"ORC|{control}|{number}@^HIS"]
    if code:
        body.append(f"OBR|1|{number}@^HIS||{code}^name^L")
        if notes:
            body.append(f"NTE|1||{notes}")
    return Said(kind, minute, serial, tuple(body))


def adt(event, patient, name="", born="", sex="", *, minute=0, serial=1):
    return Said(
        f"ADT^{event}^ADT_A01", minute, serial, (f"EVN|{event}", pid(patient, name, born, sex))
    )


def merge(retired, surviving, *, minute=0, serial=1, event="A40"):
    body = (f"EVN|{event}", pid(surviving), f"MRG|{retired}@^^^HOSP^MR")
    return Said(f"ADT^{event}^ADT_A39", minute, serial, body)
