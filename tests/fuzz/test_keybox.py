"""Whatever a file of exported keys holds, it is opened, or refused in words that tell no secret."""

import hashlib
import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.keys.keybox import Kept, Keybox, KeyboxError, WrongPassphrase, seal, unseal
from tests.support.fuzzing import effort

SECRET = "5ec2e7"
PASSPHRASE = f"{SECRET} pass"
BOX = Keybox(
    bridge_id="g1",
    made_at="2026-01-01T00:00:00Z",
    locks=[Kept(id="front_door", driver="nuki", credential={"key": SECRET, "pin": None}, address="54:D2:72:00:00:01")],
)
SEALED = seal(BOX, PASSPHRASE, memory=8192, passes=1)
HEADER, BODY, _ = SEALED.splitlines()

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 2**14),
    st.floats(),
    st.text(max_size=50),
    st.sampled_from(["argon2id", "ab" * 16, "ab" * 24, 2**40, 8192, "1" * 5000]),
)
headers = st.builds(
    lambda some: json.dumps(json.loads(HEADER) | some).encode(),
    st.dictionaries(st.sampled_from([*json.loads(HEADER), "more"]), scalars, max_size=3),
)


def summed(*lines: bytes) -> bytes:
    """Return a file with a checksum that is right."""
    body = b"".join(line + b"\n" for line in lines)
    return body + hashlib.sha256(body).hexdigest().encode()


files = st.one_of(
    st.binary(max_size=200),
    st.tuples(headers, st.binary(max_size=50) | st.just(BODY)).map(lambda lines: summed(*lines)),
    st.integers(0, len(SEALED)).map(lambda end: SEALED[:end]),
    st.tuples(st.integers(0, len(SEALED) - 1), st.integers(1, 255)).map(lambda flip: flipped(SEALED, *flip)),
    st.tuples(st.integers(0, len(BODY) - 1), st.integers(1, 255)).map(
        lambda flip: summed(HEADER, flipped(BODY, *flip))
    ),
)


def flipped(data: bytes, place: int, bits: int) -> bytes:
    return data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]


@effort(300)
@given(files)
def test_any_file_is_opened_as_it_was_sealed_or_refused(data):
    opened, told = BOX, ""
    try:
        opened = unseal(data, PASSPHRASE)
    except KeyboxError as error:
        told = "".join(traceback.format_exception(error))
    assert opened == BOX
    assert SECRET not in told


@effort(100)
@given(st.text(max_size=30).filter(lambda text: text != PASSPHRASE))
def test_no_other_passphrase_opens_it(passphrase):
    with pytest.raises(WrongPassphrase):
        unseal(SEALED, passphrase)


@effort(50)
@given(st.text(st.characters(exclude_categories=[]), max_size=30))
def test_any_passphrase_opens_what_it_sealed(passphrase):
    assert unseal(seal(BOX, passphrase, memory=8192, passes=1), passphrase) == BOX


@pytest.mark.parametrize("key", ["memory", "passes", "salt", "nonce"])
def test_every_part_of_the_header_is_authenticated(key):
    said = json.loads(HEADER)
    said[key] = said[key] + 1 if isinstance(said[key], int) else said[key][::-1]
    with pytest.raises(WrongPassphrase):
        unseal(summed(json.dumps(said).encode(), BODY), PASSPHRASE)


def test_the_very_bytes_of_the_header_are_authenticated():
    spaced = HEADER.replace(b": ", b":  ", 1)
    with pytest.raises(WrongPassphrase):
        unseal(summed(spaced, BODY), PASSPHRASE)


def test_a_file_survives_being_mailed():
    assert unseal(b"\n" + SEALED.replace(b"\n", b"\r\n") + b"\r\n\r\n", PASSPHRASE) == BOX


def test_an_accent_may_be_typed_either_way():
    assert unseal(seal(BOX, "caf\u00e9 latte", memory=8192, passes=1), "cafe\u0301 latte") == BOX
