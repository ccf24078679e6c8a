"""Figures and documents: what operators' tools read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import api
from tests.support.api import FRONT

CHECKS = """
[checks.positive_data_acceptance]
# A cursor of no page and a question that says neither of two are refused, which their schema cannot tell.
expected-statuses = ["2xx", "400", "403", "404", "409", "413", "429"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "429"]
[checks.ignored_auth]
# After a few wrong keys the answer is 429, not 401.
enabled = false
"""


@pytest.fixture
def document(there):
    return there.get("/openapi.json").json()


def figures(client):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def test_what_was_done_is_counted(here, there):
    before = figures(there)
    done = here.post(f"/locks/{FRONT}/actions", json={"action": "lock"}).json()
    here.post("/locks/nowhere/actions", json={"action": "lock"})
    while here.get(f"/bridge/attempts/{done['action_id']}").json()["status"] == "pending":
        here.get("/bridge/events", params={"after": 10**9, "wait": 0.05})
    after = figures(there)
    for name in (
        ("lock_bridge_commands_accepted_total", "lock", "bluetooth_key"),
        ("lock_bridge_commands_refused_total", "LOCK_NOT_FOUND"),
        ("lock_bridge_attempts_ended_total", "lock", "", "confirmed"),
    ):
        assert after[name] == before.get(name, 0) + 1
    assert after["lock_bridge_radio_usable",] == 1
    assert after["lock_bridge_broker_connected",] == 0
    assert after["lock_bridge_outbox_events",] >= 2
    assert after["lock_bridge_lock_online", FRONT] == 1


def test_the_document_tells_of_every_face_and_of_nothing_that_is_for_the_command_line(document):
    told = {"/locks/{lock_id}/actions", "/locks", "/health", "/metrics", "/action_attempts/get", "/asyncapi.json"}
    assert told <= set(document["paths"])
    assert not any(path.startswith("/bridge/") for path in document["paths"])
    assert set(document["paths"]["/action_attempts/list"]) == {"get", "post"}


def test_an_answer_is_as_the_document_says(document, there):
    for path in ("/locks", "/locks/list", "/devices/list", "/action_attempts/list", "/workspaces/get"):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(there.get(path).json(), {**schema, "components": document["components"]})


@pytest.mark.timeout(300)
def test_a_tool_that_tries_all_that_the_document_allows_and_forbids_finds_nothing(tmp_path):
    file = tmp_path / "schemathesis.toml"
    file.write_text(CHECKS)
    with api.running(tmp_path, FRONT) as gateway:
        run = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                f"--config-file={file}",
                "run",
                f"http://127.0.0.1:{gateway.port}/openapi.json",
                f"--header=Authorization: Bearer {gateway.key()}",
                "--phases=coverage,fuzzing",
                "--max-examples=3",
                "--seed=1",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert run.returncode == 0, run.stdout
        assert "request failed" not in gateway.daemon.log
