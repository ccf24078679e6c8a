from importlib.metadata import EntryPoint

import pytest
from pydantic import SecretStr

from drivers.base import Action, Credential, Driver, Options
from drivers.yale import YaleCredential, YaleDriver, YaleOptions
from tests.support.scripted_link import ScriptedLink


def test_the_entry_point_gives_a_driver():
    found = EntryPoint("yale", "drivers.yale:YaleDriver", "lock_bridge.drivers").load()()
    assert isinstance(found, Driver)
    assert found.name == "yale"
    assert found.capabilities.actions == frozenset(Action)
    assert found.options is YaleOptions
    assert found.credential is YaleCredential
    assert not found.capabilities.log


@pytest.mark.parametrize(
    ("credential", "options"),
    [(Credential(), YaleOptions()), (YaleCredential(key=SecretStr("00" * 16), slot=1), Options())],
)
async def test_it_takes_no_other_drivers_credential(credential, options):
    with pytest.raises(TypeError):
        await YaleDriver().open(ScriptedLink(), credential, options)
