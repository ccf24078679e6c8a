import pytest

from bridge.errors import WrongUsage
from bridge.pairing import Subject, brought
from drivers.base import Action, Capabilities, Credential, KeyPart, Options, PairingError
from drivers.nuki import NukiDriver

ADDRESS = "54:D2:72:00:00:01"
KEY = {"slot": "1", "key": "5ec4e7"}
HOW = "On a terminal you are asked for it; without one, give a file of it with --key-file."


class Vendor:
    """Its locks take keys that the vendor made."""

    name = "vendor"
    capabilities = Capabilities(actions=frozenset(Action))
    options = Options
    credential = Credential
    key_parts = (
        KeyPart("slot", "Slot (a number)", secret=False),
        KeyPart("key", "Key (hex digits)"),
        KeyPart("model", "Model", secret=False, needed=False),
    )
    key_guide = "The vendor's app shows it."
    key_needed = True

    def key_from(self, parts):
        if not parts["slot"].isdecimal():
            raise PairingError("the slot must be a number")
        return Credential()

    def sight(self, advertisement): ...
    def open(self, link, credential, options): ...
    def pair(self, link, request): ...
    def twin(self, address, name, settings, options=None): ...


class Either(Vendor):
    key_needed = False


def lock(driver, address=ADDRESS):
    return Subject(driver, address, None, None)


def test_a_key_is_taken_as_its_driver_takes_it():
    assert brought(lock(Vendor()), KEY) == Credential()


@pytest.mark.parametrize("driver", [NukiDriver(), Either()])
def test_a_lock_that_can_make_its_key_needs_none(driver):
    assert brought(lock(driver), None) is None


@pytest.mark.parametrize(
    ("driver", "address", "parts", "told"),
    [
        (NukiDriver(), ADDRESS, KEY, "a nuki lock makes the key itself: leave the key out"),
        (
            Vendor(),
            ADDRESS,
            None,
            f"a vendor lock wants the key that its vendor made (slot, key, model). {Vendor.key_guide} {HOW}",
        ),
        (Vendor(), ADDRESS, {"slot": "1"}, 'the key lacks "key": Key (hex digits)'),
        (Vendor(), ADDRESS, KEY | {"slot": ""}, 'the key lacks "slot": Slot (a number)'),
        (Vendor(), ADDRESS, KEY | {"pin": "1"}, "the key of a vendor lock has no part 'pin'; it has slot, key, model"),
        (Vendor(), ADDRESS, KEY | {"slot": "one"}, "the slot must be a number"),
        (Either(), None, KEY, "a key is for one lock: name its address too (lock-bridge scan shows it)"),
    ],
)
def test_what_cannot_be_is_refused_before_anybody_goes_to_the_lock(driver, address, parts, told):
    with pytest.raises(WrongUsage) as refused:
        brought(lock(driver, address), parts)
    assert str(refused.value) == told
    assert "5ec4e7" not in repr(refused.getrepr(chain=True))
