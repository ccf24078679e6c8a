"""Whatever is in a key's file: a key that can be used, or an error that repeats nothing of it."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.keys.credentials import CredentialError, Credentials
from drivers.nuki import NukiCredential, NukiDriver
from tests.support.fuzzing import effort

SECRET = "5ec2e7"
KEY = SECRET.ljust(64, "0")
GOOD = {"app_id": 1, "auth_id": 2, "key": KEY, "name": SECRET, "pin": "1234", "ultra": False, "uuid": SECRET}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=12),
    st.sampled_from([SECRET, KEY, "4294967295", "70000", "65535", "٣", "1" * 5000, "0x" + KEY[2:]]),
)
fields = st.fixed_dictionaries(
    {},
    optional={name: st.just(good) | scalars | st.lists(scalars, max_size=2) for name, good in GOOD.items()}
    | {SECRET: scalars},
)
documents = st.fixed_dictionaries(
    {"driver": st.just("nuki") | scalars, "credential": st.builds(lambda some: GOOD | some, fields) | fields | scalars},
    optional={SECRET: scalars},
)
contents = st.one_of(
    st.binary(max_size=100),
    documents.map(lambda document: json.dumps(document).encode()),
    documents.map(lambda document: json.dumps(document).encode("utf-16")),
    st.tuples(documents, st.integers(0, 300)).map(lambda cut: json.dumps(cut[0]).encode()[: cut[1]]),
)


def load(content: bytes) -> NukiCredential | None:
    """Load a key from a file with this content; anything but a `CredentialError` is an error."""
    with TemporaryDirectory() as folder:
        credentials = Credentials(Path(folder))
        path = credentials.path("front_door")
        path.parent.mkdir(mode=0o700)
        path.touch(mode=0o600)
        path.write_bytes(content)
        try:
            loaded = credentials.load("front_door", NukiDriver())
        except CredentialError as error:
            told, loaded = "".join(traceback.format_exception(error)), None
        else:
            told = f"{loaded!r}{loaded}"
    assert KEY not in told
    if loaded is None:
        assert SECRET not in told
        return None
    assert isinstance(loaded, NukiCredential)
    return loaded


def good(**some: object) -> bytes:
    return json.dumps({"driver": "nuki", "credential": GOOD | some}).encode()


@effort(400)
@given(contents)
@example(b"[" * 60_000)
@example(b'{"a":' * 60_000)
@example(b"9" * 5000)
@example(good(pin="70000"))
@example(good(pin="9" * 5000))
@example(good(name="\ud800"))
@example(good(key="ﬀ" * 32))
@example(json.dumps({"driver": SECRET, "credential": GOOD}).encode())
def test_any_content_is_a_key_that_can_be_used_or_an_error_without_it(content):
    loaded = load(content)
    if loaded is not None:
        assert len(loaded.key_bytes()) == 32
        pin = loaded.wire_pin()
        assert pin is None or len(pin.encode()) == (4 if loaded.ultra else 2)


def test_a_folder_in_the_place_of_a_key_is_an_error(tmp_path):
    credentials = Credentials(tmp_path)
    credentials.path("front_door").mkdir(mode=0o700, parents=True)
    with pytest.raises(CredentialError, match="cannot be read"):
        credentials.load("front_door", NukiDriver())


@effort(100)
@given(st.builds(lambda some: GOOD | some, fields))
def test_what_is_stored_is_loaded_again(values):
    try:
        credential = NukiCredential.model_validate(values)
    except ValueError:
        return
    with TemporaryDirectory() as folder:
        credentials = Credentials(Path(folder))
        credentials.store("front_door", NukiDriver(), credential)
        assert credentials.load("front_door", NukiDriver()) == credential
