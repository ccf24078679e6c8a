"""The machine's clock, and when its wall time is believed."""

import ctypes
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge import clock
from bridge.clock import SystemClock

SYNCHRONISED, UNSYNCHRONISED, TIME_ERROR, REFUSED = (0, 0), (0, 0x40), (5, 0), (-1, 0)


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """Sets what the kernel answers, on a machine where timesyncd has said nothing."""
    monkeypatch.setattr(clock, "_TIMESYNCD_SYNCHRONIZED", tmp_path / "synchronized")

    def answer(state, status):
        class Library:
            def __init__(self, _name):
                pass

            def adjtimex(self, reference):
                timex = reference._obj
                assert timex.modes == 0, "nothing may be set"
                timex.status = status
                return state

        monkeypatch.setattr(clock.ctypes, "CDLL", Library)

    return answer


@pytest.mark.parametrize(
    ("answer", "trusted"),
    [(SYNCHRONISED, True), (UNSYNCHRONISED, False), (TIME_ERROR, False), (REFUSED, False)],
    ids=["synchronised", "unsynchronised", "time error", "refused"],
)
def test_the_clock_is_trusted_as_the_kernel_says(kernel, answer, trusted):
    kernel(*answer)
    assert SystemClock().trusted() is trusted


def test_the_clock_is_trusted_once_timesyncd_has_set_it(kernel, tmp_path, monkeypatch):
    kernel(*UNSYNCHRONISED)
    machine = SystemClock("auto")
    now = machine.boottime()
    monkeypatch.setattr(machine, "boottime", lambda: now)
    assert not machine.trusted()
    (tmp_path / "synchronized").touch()
    assert not machine.trusted()
    now += clock.TRUST_FOR
    assert machine.trusted()


def test_the_clock_is_trusted_where_the_configuration_vouches_for_it(kernel):
    kernel(*UNSYNCHRONISED)
    assert SystemClock("always").trusted()


def test_the_kernel_is_asked_with_a_structure_that_it_can_fill():
    assert clock._kernel_synchronised() in {True, False}
    assert clock._Timex.status.offset == 8 + 4 * ctypes.sizeof(ctypes.c_long)


def test_boot_time_goes_on_and_is_the_kernels():
    machine = SystemClock()
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = machine.boottime()
    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_wall_time_is_in_utc():
    now = SystemClock().wall()
    assert now.tzinfo is UTC
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=5)


def test_the_boot_has_the_kernels_identity():
    assert SystemClock().boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
