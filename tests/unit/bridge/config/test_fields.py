from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bridge.config import fields


def accepts(kind, value):
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", ["g1", "front-door", "Haustür", "a.b:c", "x" * 64])
def test_a_name_is_one_level_of_a_topic(name):
    assert accepts(fields.Name, name)


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "a+", "#", "a\n", "a\u00a0b", "\x00", ".", "..", ".a", "$SYS", "x" * 65]
)
def test_what_is_no_level_of_a_topic_is_no_name(name):
    assert not accepts(fields.Name, name)


@given(st.text())
def test_a_name_is_a_safe_file_name(name):
    if accepts(fields.Name, name):
        assert Path("folder", f"{name}.json").parent == Path("folder")
        assert len(f"{name}.json".encode()) < 255


@pytest.mark.parametrize("prefix", ["lockbridge", "a/b"])
def test_a_prefix_leaves_room_for_the_longest_topic(prefix):
    assert accepts(fields.TopicPrefix, prefix)
    assert f"{prefix}/g1/rpc/locks/simulate/keypad_code_entry/reply".count("/") <= 7


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a//b", "a/+", "$a", "a/b/c", "a b"])
def test_what_cannot_begin_a_topic_is_no_prefix(prefix):
    assert not accepts(fields.TopicPrefix, prefix)


def test_a_discovery_prefix_may_be_one_level_deeper():
    assert accepts(fields.DiscoveryPrefix, "a/b/c/d")
    assert not accepts(fields.DiscoveryPrefix, "a/b/c/d/e")


@pytest.mark.parametrize("prefix", ["", "$SYS/", "a/#", "+/a", "a\n"])
def test_a_reply_prefix_has_no_wildcards(prefix):
    assert not accepts(fields.ReplyPrefix, prefix)
    assert accepts(fields.ReplyPrefix, "replies/")


def test_an_address_is_kept_in_upper_case():
    assert fields.check_mac("54:d2:72:ab:cd:ef") == "54:D2:72:AB:CD:EF"


@pytest.mark.parametrize(
    "text", ["", "hci0", "54-D2-72-AB-CD-EF", "54:D2:72:AB:CD", "54:D2:72:AB:CD:EF:00", "g4:D2:72:AB:CD:EF"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="must be a Bluetooth address"):
        fields.check_mac(text)


@pytest.mark.parametrize("listen", ["127.0.0.1:80", "[::1]:8080", "localhost:65535"])
def test_a_place_to_listen_is_an_address_and_a_port(listen):
    assert accepts(fields.Listen, listen)


@pytest.mark.parametrize("listen", ["80", ":80", "a:0", "a:65536", "::1:80", "a b:80", "http://a:80"])
def test_what_is_no_place_to_listen_is_refused(listen):
    assert not accepts(fields.Listen, listen)


@pytest.mark.parametrize("name", ["Mars", "", "Europe", "../etc/passwd", "/etc/localtime", "a\x00b"])
def test_what_is_no_time_zone_is_refused(name):
    assert not accepts(fields.Timezone, name)


def test_the_machines_time_zone_is_one_that_is_known(monkeypatch):
    monkeypatch.delenv("TZ", raising=False)
    ZoneInfo(fields.system_timezone())


def test_the_environment_names_the_time_zone(monkeypatch):
    monkeypatch.setenv("TZ", ":Asia/Tokyo")
    assert fields.system_timezone() == "Asia/Tokyo"


def test_a_machine_without_a_known_time_zone_is_on_utc(monkeypatch):
    monkeypatch.setenv("TZ", "Mars")
    monkeypatch.setattr(Path, "readlink", lambda _path: Path("../usr/share/zoneinfo/Mars"))
    assert fields.system_timezone() == "UTC"


def test_a_machine_that_does_not_tell_its_time_zone_is_on_utc(monkeypatch):
    monkeypatch.delenv("TZ", raising=False)

    def refuse(_path):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "readlink", refuse)
    assert fields.system_timezone() == "UTC"


@given(st.text(min_size=1))
def test_a_virtual_address_is_a_static_random_one(lock_id):
    address = fields.virtual_address(lock_id)
    assert fields.check_mac(address) == address
    assert int(address[:2], 16) & 0xC0 == 0xC0


def test_without_a_folder_a_path_stays_as_it_is():
    assert TypeAdapter(fields.File).validate_python(Path("a")) == Path("a")


def test_with_a_folder_a_relative_path_starts_there_and_an_absolute_one_stays():
    adapter = TypeAdapter(fields.File)
    assert adapter.validate_python(Path("a"), context={fields.FOLDER: Path("/etc")}) == Path("/etc/a")
    assert adapter.validate_python(Path("/b"), context={fields.FOLDER: Path("/etc")}) == Path("/b")
    assert not accepts(fields.File, Path())


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65])
def test_what_people_cannot_read_is_no_label(name):
    assert accepts(fields.Label, "Front door")
    assert not accepts(fields.Label, name)
