"""Byte pipes: TCP, serial, memory; link URLs; and the loop that keeps a link alive."""

from lis.transport.address import LinkAddress
from lis.transport.base import AddressError, LinkError, LinkLost, LinkState, OnState, Pipe
from lis.transport.memory import MemoryNetwork, MemoryPipe, memory_pair
from lis.transport.open import open_pipe, serve_link
from lis.transport.settings import LinkSettings
from lis.transport.visit import OnPipe

__all__ = [
    "AddressError",
    "LinkAddress",
    "LinkError",
    "LinkLost",
    "LinkSettings",
    "LinkState",
    "MemoryNetwork",
    "MemoryPipe",
    "OnPipe",
    "OnState",
    "Pipe",
    "memory_pair",
    "open_pipe",
    "serve_link",
]
