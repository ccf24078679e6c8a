from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from bridge.config.mistakes import (
    ConfigError,
    Mistake,
    Source,
    dotted,
    misfit,
    sentences,
    suggestion,
    syntax_mistake,
    without_secrets,
)


def test_a_mistake_is_told_by_file_line_and_key():
    assert Mistake("mqtt.url", 12, "is required").told("c.toml") == "c.toml:12: mqtt.url: is required"
    assert Mistake("mqtt.url", None, "is required").told("c.toml") == "c.toml: mqtt.url: is required"
    assert Mistake("", 3, "is odd").told("c.toml") == "c.toml:3: is odd"


def test_an_error_tells_every_mistake():
    error = ConfigError([Mistake("a", 1, "x"), Mistake("b", None, "y")], Path("c.toml"))
    assert str(error) == "c.toml:1: a: x\nc.toml: b: y"
    assert str(ConfigError([Mistake("a", None, "x")])) == "configuration: a: x"


def test_a_key_is_written_with_dots_and_brackets():
    assert dotted(("locks", 0, "nuki", "log_tag")) == "locks[0].nuki.log_tag"


def test_codes_are_cut_from_keys():
    assert without_secrets(("locks", 0, "virtual", "pin_codes", "1379")) == ("locks", 0, "virtual", "pin_codes")


def test_without_a_source_a_mistake_stands_nowhere():
    assert Source().mistake(("a",), "x") == Mistake("a", None, "x")


def test_a_mistake_stands_at_the_nearest_place_there_is():
    source = Source(None, {("a",): 1, ("a", "b"): 2}, {("v",): "LOCK_BRIDGE__V"})
    assert source.mistake(("a", "b", "c"), "x").line == 2
    assert source.mistake(("a", "z"), "x").line == 1
    assert source.mistake(("z",), "x").line is None
    assert source.mistake(("v", "w"), "x") == Mistake("v.w", None, "x (set by LOCK_BRIDGE__V in the environment)")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tll", 'unknown key; did you mean "ttl"?'),
        ("xyzzy", "unknown key"),
        ("ttl", "is of use with another driver than this lock's"),
    ],
)
def test_an_unknown_key_is_told_with_what_may_be_meant(name, told):
    assert suggestion(name, ["ttl", "max_ttl"]) == told


class Odd(BaseModel):
    value: str

    @field_validator("value")
    @classmethod
    def _odd(cls, value):
        if value == "own":
            raise PydanticCustomError("own", "The driver's own words")
        misfit((("value",), "one {thing}"), (("other", 0), "another"))


class Table(BaseModel, extra="forbid"):
    name: str = Field(default_factory=lambda known: known["odd"])
    odd: Odd = Field(default=Odd.model_construct(value=""))
    number: int = Field(default=1, ge=1)
    kind: Literal["a", "b"] = "a"
    later: str = Field(default_factory=lambda known: known["number"])

    @field_validator("number")
    @classmethod
    def _even(cls, number):
        if number % 2:
            raise ValueError("must be even")
        return number


def found(table):
    with pytest.raises(ValidationError) as caught:
        Table.model_validate(table, strict=True)
    return list(sentences(caught.value, lambda path: path, lambda path: [] if path else ["number", "kind"]))


BASE = {"name": "a", "later": "b"}


def test_what_a_validator_finds_is_told_where_it_is():
    assert found(BASE | {"odd": {"value": "x"}}) == [
        (("odd", "value", "value"), "one {thing}"),
        (("odd", "value", "other", 0), "another"),
    ]


@pytest.mark.parametrize(
    ("table", "key", "told"),
    [
        ({"odd": {"value": "own"}}, ("odd", "value"), "the driver's own words"),
        ({"number": "2"}, ("number",), "must be a whole number, without quotes"),
        ({"number": 0}, ("number",), "must be at least 1"),
        ({"number": 3}, ("number",), "must be even"),
        ({"kind": "c"}, ("kind",), 'must be "a" or "b"'),
        ({"numbr": 1}, ("numbr",), 'unknown key; did you mean "number"?'),
    ],
)
def test_each_error_is_told_in_plain_words(table, key, told):
    assert found(BASE | table) == [(key, told)]


def test_an_error_that_only_follows_from_another_is_not_told():
    assert found({"name": "a", "number": 3}) == [(("number",), "must be even")]


def test_a_text_that_ends_too_soon_is_named_by_its_last_line():
    assert syntax_mistake("Unclosed array (at end of document)", "a = 1\nb = [\n") == Mistake(
        "", 2, "not valid TOML: unclosed array"
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Duplicate inline table key '4711' (at line 1, column 9)", "a key is written twice"),
        ("Cannot declare ('pin_codes', '4711') twice (at line 1, column 9)", "a table is written twice"),
        ("Cannot redefine namespace ('pin_codes', '4711') (at line 1, column 9)", "a table is written twice"),
        ("Cannot mutate immutable namespace ('pin_codes', '4711') (at line 1, column 9)", "a table is written twice"),
    ],
)
def test_a_key_that_is_written_twice_is_not_repeated_since_it_may_be_a_code(said, told):
    assert syntax_mistake(said, "") == Mistake("", 1, told)


def test_a_table_that_the_environment_made_is_named_by_its_variable():
    source = Source(None, {("a",): 1}, {("v", "w"): "LOCK_BRIDGE__V__W", ("a", "b"): "LOCK_BRIDGE__A__B"})
    assert source.mistake(("v",), "x") == Mistake("v", None, "x (set by LOCK_BRIDGE__V__W in the environment)")
    assert source.mistake(("a",), "x") == Mistake("a", 1, "x")


def test_a_code_that_a_variable_names_is_not_told():
    source = Source(None, {}, {("locks", 0, "virtual", "pin_codes", "4711"): "LOCKS__0__VIRTUAL__PIN_CODES__4711"})
    told = source.mistake(("locks", 0, "virtual", "pin_codes"), "x").message
    assert told == "x (set by LOCKS__0__VIRTUAL__PIN_CODES__… in the environment)"


def test_where_keys_come_from_is_not_shown():
    assert "4711" not in repr(Source(None, {("pin_codes", "4711"): 1}, {("pin_codes", "4711"): "4711"}))
