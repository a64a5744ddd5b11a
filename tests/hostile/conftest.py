"""A whole house, to be attacked: the same as in `tests.laboratory`."""

from tests.laboratory.conftest import laboratory, threads_of_the_tools

__all__ = ["laboratory", "threads_of_the_tools"]
