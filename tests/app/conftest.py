"""Names are resolved in the loop's own thread pool: end it with each test, as the process would."""

import asyncio

import pytest


@pytest.fixture(autouse=True)
async def pool_ends_with_the_test():
    yield
    await asyncio.get_running_loop().shutdown_default_executor()
