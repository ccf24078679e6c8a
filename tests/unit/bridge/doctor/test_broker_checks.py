from dataclasses import replace

import pytest

from bridge.config.mistakes import Mistake
from bridge.doctor import broker, configuration, records
from bridge.doctor.finding import Status
from bridge.doctor.machine import Machine
from bridge.journal.inspection import Inspection
from bridge.mqtt.visit import Visit

SEEN = Visit(
    retain=True,
    packet_size=2**28,
    session_expiry=60,
    resumed=True,
    denied=None,
    answered=0.003,
    shows_retained=True,
)
GOOD = broker.Facts("broker:8883", 5, tls=True, local=False, wanted_expiry=60, seen=SEEN)


def wrong(findings):
    return [(each.check, each.status, each.message, each.remedy) for each in findings if each.status is not Status.OK]


def seen(**changes):
    return {"seen": replace(SEEN, **changes)}


@pytest.mark.parametrize(
    "changes", [{}, {"persistence": True}, {"tls": False}, seen(session_expiry=90), seen(packet_size=65536)]
)
def test_a_good_broker_has_nothing_wrong_with_it(changes):
    assert wrong(broker.judge(replace(GOOD, **changes))) == []


def test_what_cannot_be_seen_of_a_broker_is_said_to_be_unseen():
    assert "cannot be seen from outside" in broker.judge(GOOD)[-1].message


OLD = {"version": 4, **seen(session_expiry=0, resumed=False)}


@pytest.mark.parametrize(
    ("changes", "check", "status", "words"),
    [
        ({"seen": None, "trouble": "Connection refused"}, "broker", Status.FAILURE, "was not reached: Connection"),
        (
            {"seen": None, "trouble": "Not authorized", "refused": True},
            *("broker", Status.FAILURE, "refuses the bridge: Not authorized"),
        ),
        (seen(denied="Not authorized"), "broker.access", Status.FAILURE, "does not let the bridge use its topics"),
        (seen(answered=None), "broker.access", Status.FAILURE, "does not deliver"),
        (seen(answered=2.5), "broker", Status.WARNING, "2500 ms"),
        (seen(retain=False), "broker.retained", Status.FAILURE, "no retained messages"),
        (seen(shows_retained=False), "broker.retained", Status.WARNING, "does not show"),
        (seen(shows_retained=None), "broker.retained", Status.WARNING, "does not show"),
        (seen(packet_size=1000), "broker.limits", Status.WARNING, "1000 bytes"),
        (seen(resumed=False), "broker.durability", Status.WARNING, "does not keep the session"),
        ({"persistence": False}, "broker.durability", Status.WARNING, "not over its own restart"),
        (OLD, "broker.durability", Status.WARNING, "MQTT 3.1.1"),
    ],
)
def test_what_is_wrong_with_the_broker_is_told_with_its_remedy(changes, check, status, words):
    ((found, found_status, message, remedy),) = wrong(broker.judge(replace(GOOD, **changes)))
    assert (found, found_status) == (check, status)
    assert words in message
    assert remedy


def test_a_broker_of_old_that_hides_retained_commands_has_a_remedy_of_its_own():
    facts = replace(GOOD, version=4, **seen(shows_retained=False, resumed=False))
    (retained, durability) = wrong(broker.judge(facts))
    assert 'protocol = "5"' in retained[3]
    assert durability[0] == "broker.durability"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"mosquitto.conf": "persistence true\n"}, True),
        ({"mosquitto.conf": "# persistence true\n"}, False),
        ({"mosquitto.conf": "persistence true\n", "conf.d/a.conf": "  persistence false\n"}, False),
        ({"mosquitto.conf": "persistence false\n", "conf.d/a.conf.off": "persistence true\n"}, False),
        ({}, None),
    ],
)
def test_a_broker_of_this_machine_tells_by_its_configuration_what_it_keeps(tmp_path, files, found):
    (tmp_path / "etc/mosquitto/conf.d").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / "etc/mosquitto" / name).write_text(text)
    assert broker._persistence(Machine(tmp_path)) is found


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (None, Status.WARNING),
        ({"broker": {"trouble": "x"}}, Status.WARNING),
        ({"broker": {"trouble": None}}, Status.OK),
    ],
)
def test_where_the_password_is_out_of_sight_the_running_bridge_is_believed(said, status):
    assert broker.unseen("no password", said).status is status


def test_mistakes_are_failures_and_doubts_are_warnings(tmp_path):
    file = tmp_path / "config.toml"
    mistakes = [Mistake("bridge.id", 2, "must be text in quotes")]
    doubts = [Mistake("mqtt.url", 4, "the broker is used without a login; set username")]
    assert wrong(configuration.judge(file, mistakes, doubts)) == [
        (
            "configuration",
            Status.FAILURE,
            f"{file}:2: bridge.id: must be text in quotes",
            "correct it (lock-bridge check-config tells of all there is)",
        ),
        ("configuration", Status.WARNING, f"{file}:4: mqtt.url: the broker is used without a login", "set username"),
    ]
    assert wrong(configuration.judge(file, [], [])) == []


def test_what_another_user_may_not_read_is_no_mistake(tmp_path):
    mistakes = [Mistake("bridge.state_dir", 2, "cannot be written"), Mistake("locks[0].id", 9, "cannot be read")]
    ((_, status, _, remedy),) = wrong(configuration.judge(tmp_path, mistakes, [], stranger=True))
    assert (status, remedy) == (Status.WARNING, "run the doctor with sudo")


def test_the_owner_of_the_state_folder_is_no_stranger(tmp_path):
    assert not configuration.strangers(tmp_path)
    assert not configuration.strangers(tmp_path / "absent")


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"exists": False}, Status.OK, "no journal"),
        ({"size": 2**20}, Status.OK, "is whole (1.0 MiB)"),
        ({"in_use": True}, Status.OK, "open"),
        ({"open_attempts": 2, "unsent_events": 3}, Status.OK, "2 attempts have no outcome yet and 3 events"),
        ({"damage": "malformed"}, Status.FAILURE, "malformed"),
    ],
)
def test_a_journal_is_judged_by_what_is_in_it(tmp_path, changes, status, words):
    (finding,) = records.judge(replace(Inspection(tmp_path / "journal.db", exists=True), **changes))
    assert finding.status is status
    assert words in finding.message


def test_a_journal_that_was_set_aside_is_told_of(tmp_path):
    aside = Inspection(tmp_path / "journal.db", exists=True, set_aside=("journal.db.corrupt-1", "journal.db.corrupt-2"))
    ((_, status, message, _),) = wrong(records.judge(aside))
    assert status is Status.WARNING
    assert message.endswith("journal.db.corrupt-2")
