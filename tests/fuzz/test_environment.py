"""Whatever the service manager and the environment say of the process itself."""

from __future__ import annotations

import os
from contextlib import suppress
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from bridge.clock import SystemClock
from bridge.config.fields import system_timezone
from bridge.service.sdnotify import notify
from tests.support.fuzzing import effort

# What an environment can hold: no NUL, and half surrogate pairs for bytes that are no UTF-8.
bytes_as_text = st.binary(max_size=120).map(lambda data: os.fsdecode(data.replace(b"\0", b"")))
values = st.one_of(
    bytes_as_text,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    st.sampled_from(["@", "@x", "/", "/nowhere", "vsock:2:1234", "UTC", "../../etc/passwd", "Europe", "posix/UTC"]),
)


@effort(200)
@given(values)
@example("@" + "x" * 200)
@example("/" * 200)
def test_a_manager_that_cannot_be_told_is_an_os_error(address):
    with patch.dict(os.environ, {"NOTIFY_SOCKET": address}), suppress(OSError):
        notify("READY=1")


@effort(200)
@given(values)
def test_any_time_zone_variable_gives_a_time_zone(value):
    with patch.dict(os.environ, {"TZ": value}):
        assert system_timezone()


@effort(50)
@given(values)
def test_any_boot_id_is_an_identity(value):
    with patch.dict(os.environ, {"LOCK_BRIDGE_BOOT_ID": value}):
        assert SystemClock().boot_id
