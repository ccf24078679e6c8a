"""Whatever stands in the file and in the environment: a configuration, or mistakes that say where and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from bridge.config import Config, ConfigError, load
from bridge.config.preflight import check, warnings
from tests.support.fuzzing import effort

ROOT = Path(__file__).parents[2]
SECRET = "4711-hunter2"
REFERENCE = (ROOT / "config.example.toml").read_text()
SMALLEST = """
[bridge]
id = "g1"
state_dir = "state"
[mqtt]
url = "mqtt://127.0.0.1:1883"
[bluetooth]
radio = "virtual"
[[locks]]
id = "front_door"
driver = "nuki"
"""
DEEP = 100_000
WHOLE = (
    "is not UTF-8 text",
    "tables or lists are nested",
    "a number in it is too long",
    "unknown key (set by LOCK_BRIDGE__",
)
"""How mistakes begin that belong to no key."""

TABLES = ["bridge", "mqtt", "commands", "http", "bluetooth", "homeassistant", "locks", "nuki", "virtual", "pin_codes"]
KEYS = [
    *TABLES,
    *("id", "name", "driver", "address", "actions", "linger", "state_dir", "workspace_id", "timezone", "trust_clock"),
    *("url", "protocol", "prefix", "response_prefixes", "username", "password_file", "ttl", "max_ttl", "rate_limit"),
    *("listen", "radio", "adapters", "max_connections", "virtual_air", "discovery", "motor_time", "options", "source"),
    *("driver options", "source of the keys", "log_tag", "yale"),
]
keys = st.sampled_from(KEYS) | st.text(max_size=5)
scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.datetimes(),
    st.sampled_from(["nuki", "virtual", "mqtts://host", "unix:///run/x", "front_door", "Europe/Berlin", "::1", "a/b"]),
)
values = st.recursive(
    scalars,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(keys, each, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(keys, values, max_size=6)
variables = st.dictionaries(
    st.lists(keys.map(str.upper) | st.sampled_from(["0", "1", "7", "\u0661", "²"]), min_size=0, max_size=4).map(
        lambda parts: "LOCK_BRIDGE__" + "__".join(parts)
    ),
    st.one_of(values.map(lambda value: json.dumps(value, default=str)), st.text(st.characters(), max_size=12)),
    max_size=4,
)


def toml(value: Any) -> str:
    """Write a value as TOML, tables inline."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{toml(key)} = {toml(each)}' for key, each in value.items())}}}"
        case moment:
            return moment.isoformat()


def lines(document: dict[str, Any]) -> str:
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in document.items())


def read(text: str | bytes, environ: dict[str, str] | None = None) -> Config | ConfigError:
    """Load a text, and look at the machine with what it says; anything but a `ConfigError` is an error."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        try:
            config = load(file, environ or {})
        except ConfigError as error:
            check_mistakes(error)
            return error
        for mistake in (*check(config), *warnings(config)):
            assert mistake.key
            assert mistake.message
        return config


def check_mistakes(error: ConfigError) -> None:
    """Check that each mistake says what is wrong, and where."""
    assert error.mistakes
    for mistake in error.mistakes:
        assert mistake.message
        assert mistake.key or mistake.line or mistake.message.startswith(WHOLE), mistake


def told(result: Config | ConfigError) -> str:
    """Return all that can be shown of a result."""
    if isinstance(result, Config):
        return repr(result)
    return "\n".join([str(result), repr(result), *map(repr, result.mistakes)])


@effort(200)
@given(st.binary(max_size=200) | st.text(max_size=200))
@example(b"\xff")
@example("x = " + "[" * DEEP)
@example("x = " + "{a=" * DEEP)
@example("x = " + "[" * 300 + "]" * 300)
@example("x = " + "9" * 5000)
@example("x" + ".x" * 2000 + " = 1")
@example(f"{SMALLEST}[commands]\nttl = {'9' * 400}")
def test_any_text_is_a_configuration_or_mistakes(text):
    read(text)


@effort(300)
@given(documents)
@example({"driver options": 1})
@example({"bridge": {"id": "g1", "driver options": 1}, "mqtt": {"url": "mqtt://localhost"}})
@example({"source of the keys": 1})
@example({"locks": [{"id": "a", "driver": "nuki", "driver options": 1}, {"driver options": 1}]})
def test_any_tables_are_a_configuration_or_mistakes(document):
    read(lines(document))


@effort(200)
@given(st.data())
def test_any_damage_to_a_good_file_is_a_configuration_or_mistakes(data):
    text = data.draw(st.sampled_from([REFERENCE, SMALLEST]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 20))
        new = data.draw(st.sampled_from(["", '"', "'''", "[[", "]", "\n[locks]\n", "\0", "#"]) | st.text(max_size=5))
        text = text[:at] + new + text[at + cut :]
    read(text)


@effort(300)
@given(variables)
@example({"LOCK_BRIDGE__": "1"})
@example({"LOCK_BRIDGE____BRIDGE": ""})
@example({"LOCK_BRIDGE__LOCKS": "[" * DEEP})
@example({f"LOCK_BRIDGE__LOCKS__{'9' * 5000}__ID": "a"})
@example({"LOCK_BRIDGE__BRIDGE__ID": "\udcff"})
@example({"LOCK_BRIDGE__\udcff": "x"})
@example({"LOCK_BRIDGE__BRIDGE__TIMEZONE": "\0"})
@example({"LOCK_BRIDGE__BRIDGE__STATE_DIR": "\0"})
@example({"LOCK_BRIDGE__DRIVER OPTIONS": "x"})
@example({"LOCK_BRIDGE__LOCKS__0__DRIVER OPTIONS__X": "x"})
def test_any_environment_is_a_configuration_or_mistakes(environ):
    read(SMALLEST, environ)


secret_lines = st.one_of(
    st.sampled_from(["password", "pin", "key", "token", "secret", "access_code", "api_key"]).flatmap(
        lambda key: st.sampled_from(
            [
                f'{key} = "{SECRET}"',
                f'[mqtt]\n{key} = "{SECRET}"',
                f'[[locks]]\n{key} = "{SECRET}"',
                f'[locks.nuki]\n{key} = "{SECRET}"',
                f'{key} = "{SECRET}" "',
                f"{key} = {SECRET}",
                f'{key} = """{SECRET}',
                f'{key} = {{ a = "{SECRET}", a = "{SECRET}" }}',
            ]
        )
    ),
    st.sampled_from(
        [
            f'url = "mqtt://user:{SECRET}@host"',
            f'url = "mqtt://user:{SECRET}@[host"',
            f'url = "mqtts://{SECRET}@host:99999"',
            f'pin_codes = {{ "{SECRET}" = 5 }}',
            f'pin_codes = {{ "{SECRET}" = "a", "{SECRET}" = "b" }}',
            f'pin_codes = {{ "{SECRET}" = "a", "{SECRET}".b = "b" }}',
            f'pin_codes = {{ "{SECRET}".a = "a", "{SECRET}" = "b" }}',
            f'[locks.virtual]\npin_codes = {{ "{SECRET}" = "Ann" }}',
            f'[locks.virtual]\npin_codes."{SECRET}" = "a"\npin_codes."{SECRET}" = "b"',
            f'[locks.virtual.pin_codes]\n"{SECRET}" = {{}}',
            f'[locks.virtual.pin_codes."{SECRET}"]\n[locks.virtual.pin_codes."{SECRET}"]',
            f'[locks.virtual]\npin_codes = {{ "{SECRET}" = {{}} }}\npin_codes."{SECRET}".b = "b"',
            f'[locks.virtual]\npin_codes."{SECRET}".a = "a"\n[locks.virtual.pin_codes."{SECRET}"]',
            f'[locks.virtual]\npin_codes."{SECRET}".a = "a"\n[[locks.virtual.pin_codes."{SECRET}"]]',
            f'[locks.virtual.pin_codes]\n[locks.virtual]\npin_codes."{SECRET}".a = "a"',
            f'[locks.virtual.pin_codes."{SECRET}"]\n[locks.virtual]\npin_codes."{SECRET}".a = "a"',
        ]
    ),
)


@effort(150)
@given(st.lists(secret_lines, min_size=1, max_size=3), st.sampled_from([SMALLEST, ""]), st.booleans())
def test_no_mistake_repeats_a_secret(extra, beginning, first):
    parts = [*extra, beginning] if first else [beginning, *extra]
    assert SECRET not in told(read("\n".join(parts)))


@effort(100)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("MQTT__PASSWORD", "MQTT__URL", "LOCKS__0__NUKI__PIN", "LOCKS__0__NUKI", "LOCKS__0__KEY", "LOCKS"),
                *("LOCKS__0__VIRTUAL__PIN_CODES", "LOCKS__0__VIRTUAL", f"LOCKS__0__VIRTUAL__PIN_CODES__{SECRET}"),
                *(f"LOCKS__0__VIRTUAL__PIN_CODES__{SECRET}__X", "BRIDGE", "PASSWORD"),
                f"LOCKS__0__VIRTUAL__PIN_CODES__{SECRET}__\udcff",
            ]
        ).map("LOCK_BRIDGE__{}".format),
        st.sampled_from(
            [
                SECRET,
                f"mqtt://user:{SECRET}@host",
                f"{SECRET}\udcff",
                json.dumps({"pin_codes": {SECRET: {}}}),
                json.dumps({"pin_codes": {SECRET: 5}}),
                json.dumps({"pin": SECRET}),
                json.dumps([{"pin": SECRET}]),
                f'{{"pin": "{SECRET}"',
            ]
        ),
        min_size=1,
        max_size=3,
    )
)
def test_no_mistake_in_the_environment_repeats_a_secret(environ):
    shown = told(read(SMALLEST, environ))
    assert SECRET not in shown
