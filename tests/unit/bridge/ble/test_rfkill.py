"""Whether rfkill blocks an adapter."""

import pytest

from bridge.ble.rfkill import blocks


@pytest.mark.parametrize("soft", ["0\n", "1\n"])
@pytest.mark.parametrize("hard", ["0\n", "1\n"])
async def test_what_blocks_an_adapter_is_told(tmp_path, soft, hard):
    switch = tmp_path / "hci0" / "rfkill3"
    switch.mkdir(parents=True)
    (switch / "soft").write_text(soft)
    (switch / "hard").write_text(hard)
    assert await blocks("hci0", tmp_path) == (soft == "1\n", hard == "1\n")


async def test_an_adapter_that_has_no_switch_or_has_gone_is_not_blocked(tmp_path):
    (tmp_path / "hci1" / "rfkill0").mkdir(parents=True)
    for name in ("hci0", "hci1"):
        assert await blocks(name, tmp_path) == (False, False)
