from pydantic import BaseModel

from bridge.config.env import annotation_at, model_in, overlay, unreadable
from bridge.config.model import Config, _options_of


def laid_over(data, **environ):
    named = {f"LOCK_BRIDGE__{name}": value for name, value in environ.items()}
    sources = overlay(data, named, Config, _options_of)
    return data, {path: name.removeprefix("LOCK_BRIDGE__") for path, name in sources.items()}


def test_a_value_replaces_the_files():
    assert laid_over({"mqtt": {"url": "a"}}, MQTT__URL="b") == ({"mqtt": {"url": "b"}}, {("mqtt", "url"): "MQTT__URL"})


def test_text_is_read_as_what_the_key_wants():
    data, _ = laid_over(
        {}, COMMANDS__TTL="20", COMMANDS__REQUIRE_EXPIRY="off", BRIDGE__ID="20", HTTP__LISTEN="1", MQTT__PROTOCOL="5"
    )
    assert data == {
        "commands": {"ttl": 20, "require_expiry": False},
        "bridge": {"id": "20"},
        "http": {"listen": "1"},
        "mqtt": {"protocol": "5"},
    }


def test_a_table_in_json_is_laid_over_the_files_table():
    data, _ = laid_over({"mqtt": {"url": "a", "prefix": "p"}}, MQTT='{"url": "b"}')
    assert data == {"mqtt": {"url": "b", "prefix": "p"}}


def test_a_list_in_json_replaces_the_files_list():
    data, _ = laid_over({"locks": [{"id": "a"}, {"id": "b"}]}, LOCKS='[{"id": "c"}]', LOCKS__0__NAME="C")
    assert data == {"locks": [{"id": "c", "name": "C"}]}


def test_locks_are_added_by_number_in_their_order():
    data, sources = laid_over({"locks": [{"id": "a"}]}, LOCKS__9__ID="z", LOCKS__10__ID="y", LOCKS__0__NAME="A")
    assert data == {"locks": [{"id": "a", "name": "A"}, {"id": "z"}, {"id": "y"}]}
    assert sources == {
        ("locks", 0, "name"): "LOCKS__0__NAME",
        ("locks", 1, "id"): "LOCKS__9__ID",
        ("locks", 2, "id"): "LOCKS__10__ID",
    }


def test_what_is_no_json_or_number_stays_text():
    data, _ = laid_over({}, LOCKS="[", COMMANDS__TTL="x", LOCKS__FRONT__ID="a")
    assert data == {"locks": {"front": {"id": "a"}}, "commands": {"ttl": "x"}}


def test_a_key_below_a_plain_value_gives_it_place_for_validation_to_refuse():
    data, _ = laid_over({"mqtt": {"url": "a"}}, MQTT__URL__HOST="b")
    assert data == {"mqtt": {"url": {"host": "b"}}}


def test_a_drivers_own_table_is_read_by_its_model():
    data, _ = laid_over({}, LOCKS__0__NUKI__LOG_TAG="false", LOCKS__0__YALE__SLOT="1")
    assert data == {"locks": [{"nuki": {"log_tag": False}, "yale": {"slot": "1"}}]}


def test_types_are_found_through_tables_and_lists():
    class Inner(BaseModel):
        deep: dict[str, int]

    class Outer(BaseModel):
        inner: list[Inner]

    def none(_driver):
        return None

    assert model_in(annotation_at(Outer, ("inner", 0), none)) is Inner
    assert annotation_at(Outer, ("inner", 0, "deep"), none) == dict[str, int]
    assert annotation_at(Outer, ("inner", 0, "deep", "x"), none) is None
    assert annotation_at(Outer, ("none",), none) is None


def test_what_is_no_place_among_the_locks_is_a_name():
    data, _ = laid_over({}, **{f"LOCKS__{'9' * 5000}__ID": "a", "LOCKS__\u00b2__ID": "b"})
    assert data == {"locks": {"9" * 5000: {"id": "a"}, "\u00b2": {"id": "b"}}}


def test_variables_that_are_no_text_are_named_by_their_keys_without_codes():
    environ = {
        "LOCK_BRIDGE__BRIDGE__ID": "\udcff",
        "LOCK_BRIDGE__\udcff": "a",
        "LOCK_BRIDGE__LOCKS__0__VIRTUAL__PIN_CODES__4711": "\udcff",
        "LOCK_BRIDGE__MQTT__URL": "b",
        "OTHER": "\udcff",
    }
    assert unreadable(environ) == ["bridge.id", "locks[0].virtual.pin_codes", "\\udcff"]
