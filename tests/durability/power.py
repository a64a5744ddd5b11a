"""Power cuts, played on paper: what a disk would hold if the current failed at a given system call.

A traced process leaves a list of system calls on the database's files. They are played again on models:

    pwrite64, ftruncate     change what the process sees; the disk may or may not have it yet
    fsync, fdatasync        when they *return*, everything written before they were *called* is on the disk
    openat(O_CREAT), unlink change a name; names are on the disk after an fsync of their folder
    sendto                  an acknowledgement leaves: from this call on the peer may have it

A cut between two lines of the trace leaves, for each file, what was synced. Of the rest a disk may have kept
nothing, or any part in sectors of 512 bytes: both are played.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR_BYTES = 512
TRACED = (
    "openat,close,write,pwrite64,pwritev,fsync,fdatasync,ftruncate,unlink,rename,accept4,sendto"
)

_LINE = re.compile(r"(?:\[pid +)?(\d+)\]? +(.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_CALL = re.compile(r"(\w+)\((.*)", re.DOTALL)
_RESULT = re.compile(r"\) += (-?\d+)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_PORT = re.compile(r"sin_port=htons\((\d+)\)")
UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True)
class Call:
    """One line of the trace: a call begins, ends, or both."""

    name: str
    arguments: str
    result: int | None  # None: it has only begun
    begins: bool
    thread: int


def read_trace(path: Path) -> Iterator[Call]:
    """The calls in the order in which they began and ended."""
    open_calls: dict[int, tuple[str, str]] = {}
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            thread_text, rest = _LINE.fullmatch(line.rstrip("\n")).groups()
            thread = int(thread_text)
            if resumed := _RESUMED.match(rest):
                name, arguments = open_calls.pop(thread)
                arguments += resumed[2]
                yield Call(name, arguments, _result(arguments), False, thread)
            elif call := _CALL.match(rest):
                name, arguments = call.groups()
                if arguments.endswith(UNFINISHED):
                    arguments = arguments[: -len(UNFINISHED)]
                    open_calls[thread] = (name, arguments)
                    yield Call(name, arguments, None, True, thread)
                else:
                    yield Call(name, arguments, _result(arguments), True, thread)


def _result(arguments: str) -> int:
    found = _RESULT.findall(arguments)
    return int(found[-1]) if found else -1


def text_in(arguments: str) -> bytes:
    """The first string argument, whole."""
    found = _STRING.search(arguments)
    assert found is not None, arguments[:80]
    assert not found[2], "strace cut a string: raise -s"
    return bytes.fromhex(found[1].replace("\\x", ""))


@dataclass
class File:
    """One inode: what the disk has for certain, and what was written since."""

    name: str
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, int, bytes | None]] = field(default_factory=list)
    """(number, offset, data); data None = the file was cut to `offset` bytes."""

    def sync(self, before: int) -> None:
        for change in [one for one in self.pending if one[0] < before]:
            _apply(self.durable, change)
        self.pending = [one for one in self.pending if one[0] >= before]

    def after_cut(self, dice: random.Random | None) -> bytes:
        """What is on the disk: the synced part, and with `dice` a random part of the rest."""
        if dice is None:
            return bytes(self.durable)
        content = bytearray(self.durable)
        for number, offset, data in self.pending:
            if data is None:
                if dice.random() < 0.5:
                    _apply(content, (number, offset, None))
                continue
            for start in range(0, len(data), SECTOR_BYTES):
                if dice.random() < 0.5:
                    sector = data[start : start + SECTOR_BYTES]
                    _apply(content, (number, offset + start, sector))
        return bytes(content)


def _apply(content: bytearray, change: tuple[int, int, bytes | None]) -> None:
    _, offset, data = change
    if data is None:
        del content[offset:]
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


@dataclass
class Disk:
    """The folder of the database while the trace is played."""

    folder: Path
    names: dict[str, File]  # as the process sees them
    durable_names: dict[str, File]
    syncs: int = 0
    writes_to: Counter[str] = field(default_factory=Counter)
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    """(peer's port, bytes) of each send on an accepted connection that has begun."""
    _descriptors: dict[int, File | str] = field(default_factory=dict)
    _peers: dict[int, int] = field(default_factory=dict)
    _number: int = 0
    _syncing: dict[int, tuple[int, dict[str, File]]] = field(default_factory=dict)

    @classmethod
    def holding(cls, folder: Path, before: Path) -> "Disk":
        """The traced `folder` as it was before: a copy lies at `before`, all of it durable."""
        files = {
            str(folder / path.name): File(path.name, bytearray(path.read_bytes()))
            for path in before.iterdir()
        }
        return cls(folder, files, dict(files))

    def play(self, call: Call) -> bool:
        """Whether the state of the disk, or what the world knows, changed."""
        self._number += 1
        act = _ACTS.get(call.name)
        return act is not None and act(self, call)

    def write_to(self, target: Path, dice: random.Random | None) -> None:
        """Leave in `target` what a cut now would leave on the disk."""
        names = self.durable_names if dice is None or dice.random() < 0.5 else self.names
        for path, file in names.items():
            if not path.endswith("-shm"):  # memory of the running processes: gone in any case
                (target / Path(path).name).write_bytes(file.after_cut(dice))

    def _openat(self, call: Call) -> bool:
        if call.result is None or call.result < 0:
            return False
        path = text_in(call.arguments).decode(errors="replace")
        self._descriptors.pop(call.result, None)
        if path == str(self.folder):
            self._descriptors[call.result] = path
        elif path.startswith(str(self.folder)):
            if path not in self.names:
                self.names[path] = File(Path(path).name)
            if "O_TRUNC" in call.arguments:
                self.names[path].pending.append((self._number, 0, None))
            self._descriptors[call.result] = self.names[path]
        return False

    def _close(self, call: Call) -> bool:
        if call.begins:
            descriptor = int(call.arguments.split(")")[0].split(" ")[0])
            self._descriptors.pop(descriptor, None)
            self._peers.pop(descriptor, None)
        return False

    def _accept4(self, call: Call) -> bool:
        if call.result is not None and call.result >= 0:
            self._peers[call.result] = int(_PORT.findall(call.arguments)[-1])
        return False

    def _sendto(self, call: Call) -> bool:
        port = self._peers.get(_descriptor(call))
        if not call.begins or port is None:
            return False
        self.sent.append((port, text_in(call.arguments)))
        return True

    def _pwrite64(self, call: Call) -> bool:
        file = self._descriptors.get(_descriptor(call))
        if not call.begins or not isinstance(file, File):
            return False
        data = text_in(call.arguments)
        offset = int(call.arguments.rsplit('"', 1)[1].split(")")[0].split(",")[2])
        file.pending.append((self._number, offset, data))
        self.writes_to[file.name] += 1
        return True

    def _not_modelled(self, call: Call) -> bool:
        if call.name == "rename":
            assert str(self.folder).encode().hex() not in call.arguments.replace("\\x", "")
        else:
            assert not isinstance(self._descriptors.get(_descriptor(call)), File)
        return False

    def _ftruncate(self, call: Call) -> bool:
        file = self._descriptors.get(_descriptor(call))
        if call.begins and isinstance(file, File):
            size = int(call.arguments.split(",")[1].split(")")[0])
            file.pending.append((self._number, size, None))
        return True

    def _unlink(self, call: Call) -> bool:
        if call.result == 0:
            self.names.pop(text_in(call.arguments).decode(errors="replace"), None)
        return True

    def _fsync(self, call: Call) -> bool:
        if call.begins:
            self._syncing[call.thread] = (self._number, dict(self.names))
        if call.result is None:
            return False
        before, names = self._syncing.pop(call.thread)
        target = self._descriptors.get(_descriptor(call))
        if isinstance(target, File):
            target.sync(before)
            self.syncs += 1
        elif target is not None:
            self.durable_names = names
        return target is not None


_ACTS: dict[str, Callable[[Disk, Call], bool]] = {
    "openat": Disk._openat,
    "close": Disk._close,
    "accept4": Disk._accept4,
    "sendto": Disk._sendto,
    "pwrite64": Disk._pwrite64,
    "write": Disk._not_modelled,
    "pwritev": Disk._not_modelled,
    "rename": Disk._not_modelled,
    "ftruncate": Disk._ftruncate,
    "unlink": Disk._unlink,
    "fsync": Disk._fsync,
    "fdatasync": Disk._fsync,
}


def _descriptor(call: Call) -> int:
    return int(re.split(r"[,) ]", call.arguments, maxsplit=1)[0])
