"""Houses with virtual locks, that many tests of the way of a command begin with."""

import pytest

from tests.support.house import BACK, FRONT, House


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path) as house:
        yield house


@pytest.fixture
async def open_house(tmp_path):
    """A house whose front door is unlocked."""
    async with House.standing(tmp_path, locked=False) as house:
        yield house


@pytest.fixture
async def two_doors(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK) as house:
        yield house
