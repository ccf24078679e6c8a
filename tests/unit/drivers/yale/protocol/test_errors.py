import pytest

from drivers.base import Fault
from drivers.yale.protocol.codes import Result
from drivers.yale.protocol.errors import BLOCKED, obstructed, refusal


@pytest.mark.parametrize("code", [code for code in Result if code not in (Result.SUCCESS, Result.EMPTY_LOG)])
def test_every_result_has_words_of_its_own(code):
    found = refusal(code)
    assert found.message.endswith(".")
    assert "0x" not in found.message


def test_another_result_is_told_by_its_number():
    assert refusal(0x99).message == "The lock reported error 0x99."
    assert refusal(0x99).fault is Fault.UNCATEGORIZED


def test_a_jam_with_an_open_door_is_an_obstruction():
    assert obstructed(BLOCKED).fault is Fault.OBSTRUCTED
    assert obstructed(refusal(Result.BUSY)) == refusal(Result.BUSY)
