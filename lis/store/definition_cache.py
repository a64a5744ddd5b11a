"""A bounded cache of frozen definition values by version id.

A version row never changes, so its frozen value may be kept as long as there is room. Which version is
in force is still read in every transaction: the cache saves the parsing, never the question.
"""

import threading
from collections import OrderedDict

VERSIONS_KEPT = 16  # the present catalog, a few before it for look-backs; a catalog is some 100 kB


class DefinitionCache:
    """Keeps the values used last; safe to share between threads."""

    def __init__(self, size: int = VERSIONS_KEPT) -> None:
        self._size = size
        self._mutex = threading.Lock()
        self._values: OrderedDict[tuple[object, ...], object] = OrderedDict()

    def get(self, key: tuple[object, ...]) -> object | None:
        """The value kept under `key`, or None."""
        with self._mutex:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: tuple[object, ...], value: object) -> None:
        """Keep `value`; the one unused for longest makes room."""
        with self._mutex:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
