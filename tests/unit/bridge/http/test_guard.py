"""Who is let in."""

from __future__ import annotations

import pytest
import trio.testing
from starlette.requests import Request

from bridge.http import guard
from bridge.http.answers import Problem
from bridge.http.guard import LocalGuard, NetworkGuard
from bridge.keys.api_keys import ApiKeys
from drivers.base import Method


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
def keys(tmp_path):
    return ApiKeys(tmp_path)


@pytest.fixture
def network(keys):
    return NetworkGuard(keys, ["Bridge.local", "0.0.0.0"])


def request(client="10.0.0.9", scheme="http", *, server="192.168.1.5", **headers):
    named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request(
        {"type": "http", "scheme": scheme, "server": (server, 8080), "client": (client, 1), "headers": named}
    )


def problem(call, *args):
    with pytest.raises(Problem) as caught:
        call(*args)
    return caught.value.status, caught.value.kind


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "bridge.local"},
        {"host": "BRIDGE.local:8080"},
        {"host": "192.168.1.5:8080"},
        {"host": "localhost"},
        {"host": "[::1]:8080"},
        {"host": "bridge.local:8080", "origin": "http://bridge.local:8080"},
        {"host": "bridge.local", "sec_fetch_site": "same-origin"},
        {"host": "bridge.local", "sec_fetch_site": "none"},
    ],
)
def test_it_answers_to_its_own_names_and_to_the_address_that_was_called(network, headers):
    network.check_source(request(**headers))


def test_a_version_6_address_that_was_called_is_its_own_too(network):
    network.check_source(request(server="fd00::5", host="[fd00::5]:8080"))


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({}, "host_not_allowed"),
        ({"host": ""}, "host_not_allowed"),
        ({"host": "evil.example"}, "host_not_allowed"),
        ({"host": "192.168.1.6"}, "host_not_allowed"),
        ({"host": "bridge.local.evil.example"}, "host_not_allowed"),
        ({"host": "bridge.local:8080:1"}, "host_not_allowed"),
        ({"host": "bridge.local/"}, "host_not_allowed"),
        ({"host": "bridge.local", "origin": "http://evil.example"}, "origin_not_allowed"),
        ({"host": "bridge.local", "origin": "null"}, "origin_not_allowed"),
        ({"host": "bridge.local", "origin": ""}, "origin_not_allowed"),
        ({"host": "bridge.local", "origin": "https://bridge.local"}, "origin_not_allowed"),
        ({"host": "bridge.local:8080", "origin": "http://bridge.local:9090"}, "origin_not_allowed"),
        ({"host": "bridge.local", "sec_fetch_site": "cross-site"}, "origin_not_allowed"),
        ({"host": "bridge.local", "sec_fetch_site": "same-site"}, "origin_not_allowed"),
    ],
)
def test_it_answers_to_no_other_name_and_to_no_other_page(network, headers, kind):
    assert problem(network.check_source, request(**headers)) == (403, kind)


def test_two_hosts_or_two_keys_are_none(network, keys):
    twice = request()
    twice.scope["headers"] = [(b"host", b"bridge.local")] * 2
    assert problem(network.check_source, twice) == (403, "host_not_allowed")
    shown = f"Bearer {keys.make('a', 'read').secret}".encode()
    twice.scope["headers"] = [(b"authorization", shown)] * 2
    assert problem(network.caller, Request(twice.scope)) == (401, "unauthorized")


async def test_who_shows_a_key_is_known_by_it_and_acts_remotely(network, keys):
    made = keys.make("a", "operate", ["front_door"])
    caller = network.caller(request(authorization=f"bearer {made.secret}"))
    assert (caller.method, caller.key, caller.locks) == (Method.REMOTE_API, made.kept, {"front_door"})


async def test_wrong_keys_are_counted_by_address_and_forgotten_in_time(network, keys):
    good = request(authorization=f"Bearer {keys.make('a', 'read').secret}")
    wrong = request(authorization="Bearer seam_wrong")
    answers = [problem(network.caller, wrong)[0] for _ in range(guard.FAILURES + 1)]
    assert answers == [401] * guard.FAILURES + [429]
    assert network.caller(good).key is not None
    assert problem(network.caller, request("10.0.0.8", authorization="Bearer x"))[0] == 401
    assert problem(network.caller, request()) == (401, "unauthorized")
    await trio.sleep(guard.FORGOTTEN_AFTER)
    assert problem(network.caller, wrong)[0] == 401


async def test_only_so_many_addresses_are_remembered(network, monkeypatch):
    monkeypatch.setattr(guard, "MOST_ADDRESSES", 3)
    for number in range(10):
        problem(network.caller, request(f"10.0.0.{number}", authorization="Bearer x"))
    assert len(network._failures) == 3


async def test_where_the_keys_cannot_be_read_none_is_good(network, keys, tmp_path):
    made = keys.make("a", "read")
    (tmp_path / "api_keys.json").chmod(0o644)
    assert problem(network.caller, request(authorization=f"Bearer {made.secret}")) == (401, "unauthorized")


def test_at_the_gateway_everybody_is_let_in_but_a_web_page():
    local = LocalGuard()
    local.check_source(request(host="anything"))
    assert local.caller(request()).method is Method.BLUETOOTH_KEY
    assert local.caller(request()).locks is None
    assert problem(local.check_source, request(origin="http://localhost")) == (403, "origin_not_allowed")
