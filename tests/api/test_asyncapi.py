"""The AsyncAPI document, by the official parser, and as the daemon serves it."""

from __future__ import annotations

import json

import pytest

from bridge.config import load
from bridge.mqtt.asyncapi import document
from tests.support import javascript
from tests.support.daemon import configuration


@pytest.fixture(scope="module")
def parsed():
    javascript.install()

    def parse(found):
        return json.loads(javascript.node("validate.mjs", stdin=json.dumps(found)))

    return parse


@pytest.fixture
def config(tmp_path):
    def load_with(**tables):
        file = tmp_path / "config.toml"
        file.write_text(configuration(1883, "front_door", **tables))
        return load(file, {})

    return load_with


@pytest.mark.timeout(180)
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_official_parser_finds_nothing_wrong_with_it(parsed, config, protocol):
    found = document(config(mqtt=f'protocol = "{protocol}"'))
    told = parsed(found)
    assert (told["valid"], told["found"]) == (True, [])
    assert told["channels"] == len(found["channels"])


@pytest.mark.timeout(180)
def test_the_parser_would_find_a_mistake(parsed, config):
    found = document(config())
    found["operations"]["takeCommand"]["channel"]["$ref"] = "#/channels/nowhere"
    assert not parsed(found)["valid"]


def test_the_daemon_serves_it(there):
    answer = there.get("/asyncapi.json")
    assert answer.status_code == 200
    found = answer.json()
    assert found["asyncapi"] == "3.0.0"
    assert found["channels"]["commands"]["address"] == "lockbridge/g1/locks/{lock_id}/actions"
