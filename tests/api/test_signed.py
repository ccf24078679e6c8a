"""A lock that wants its commands signed, over HTTP: a key for the interface alone moves nothing."""

from __future__ import annotations

import pytest

from bridge.keys.signing_keys import SigningKeys
from tests.support import api, signed
from tests.support.api import BACK, FRONT, QUICK


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    strict = {"lock": f"require_signature = true\n{QUICK}", "bridge": 'trust_clock = "always"'}
    with api.running(tmp_path_factory.mktemp("api"), **strict) as running:
        yield running


@pytest.fixture
def made(gateway):
    return SigningKeys(gateway.daemon.state_dir).make("panel", "ed25519", [FRONT])


def test_an_api_key_alone_moves_nothing(there):
    refused = there.post(f"/locks/{FRONT}/actions", json={"action": "unlock"})
    assert (refused.status_code, refused.json()["error_code"]) == (403, "SIGNATURE_REQUIRED")
    for path, body in (
        ("unlock_door", {"device_id": FRONT}),
        ("lock_door", {"device_id": FRONT}),
        ("configure_auto_lock", {"device_id": FRONT, "auto_lock_enabled": False}),
    ):
        refused = there.post(f"/locks/{path}", json=body)
        assert (refused.status_code, refused.json()["error"]["type"]) == (403, "signature_required")
    assert there.get("/action_attempts/list").json()["action_attempts"] == []


def test_a_signature_alone_moves_nothing(gateway, made):
    with gateway.there(None) as stranger:
        assert stranger.post(f"/locks/{FRONT}/actions", json=signed.command(made, FRONT)).status_code == 401


def test_with_both_the_lock_moves(there, made):
    body = signed.command(made, FRONT)
    answer = there.post(f"/locks/{FRONT}/actions", json=body)
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    assert there.post(f"/locks/{FRONT}/actions", json=body).json()["replayed"] is True
    refused = there.post(f"/locks/{BACK}/actions", json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "SIGNATURE_INVALID")


def test_at_the_gateway_itself_nothing_need_be_signed(here):
    assert here.post(f"/locks/{BACK}/actions", json={"action": "unlock"}).status_code == 200
    assert here.post("/locks/unlock_door", json={"device_id": BACK}).status_code == 200


def test_refusals_are_counted_by_their_code(here, there):
    there.post(f"/locks/{BACK}/actions", json={"action": "unlock"})
    counted = [line for line in here.get("/metrics").text.splitlines() if "SIGNATURE_REQUIRED" in line]
    assert counted
    assert float(counted[0].rpartition(" ")[2]) >= 1


def test_the_documents_tell_of_it(there):
    (command,) = [
        schema["content"]["application/json"]["schema"]
        for schema in [there.get("/openapi.json").json()["paths"]["/locks/{lock_id}/actions"]["post"]["requestBody"]]
    ]
    shapes = there.get("/openapi.json").json()["components"]["schemas"]
    fields = shapes[command["$ref"].rpartition("/")[2]] if "$ref" in command else command
    assert "signature" in fields["properties"]
    assert fields["required"] == ["action"]
    assert '"signature"' in there.get("/asyncapi.json").text
