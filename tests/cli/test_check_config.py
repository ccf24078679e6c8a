import json

from anyio import to_thread

from tests.support.mosquitto import Mosquitto, free_port


def test_a_valid_configuration_is_said_to_be(lock_bridge, config):
    ended = lock_bridge("check-config")
    assert (ended.code, ended.out, ended.err) == (0, f"{config} is valid.\n", "")


def test_mistakes_are_named_and_end_with_two(lock_bridge, config):
    config.write_text(config.read_text() + "linger = 1000\nconection = 1\n")
    ended = lock_bridge("check-config")
    assert ended.code == 2
    assert ended.err.splitlines() == [
        f"error: {config}:12: locks[0].linger: must be at most 300",
        f'error: {config}:13: locks[0].conection: unknown key; did you mean "connection"?',
    ]


def test_an_absent_file_ends_with_two(lock_bridge, tmp_path):
    ended = lock_bridge("--config", tmp_path / "none.toml", "check-config")
    assert ended.code == 2
    assert "there is no such file" in ended.err


def test_warnings_do_not_fail(lock_bridge, config):
    config.write_text(config.read_text().replace("[bluetooth]", 'protocol = "3.1.1"\n[bluetooth]'))
    ended = lock_bridge("check-config")
    assert ended.code == 0
    assert ended.err.startswith(f"warning: {config}:6: mqtt.protocol: ")


def test_findings_are_told_to_programs(lock_bridge, config):
    config.write_text(config.read_text().replace("[bluetooth]", 'protocol = "3.1.1"\n[bluetooth]'))
    ended = lock_bridge("check-config", "--json")
    told = json.loads(ended.out)
    assert ended.code == 0
    assert (told["ok"], told["file"], told["mistakes"], told["broker"]) == (True, str(config), [], None)
    assert (told["warnings"][0]["key"], told["warnings"][0]["line"]) == ("mqtt.protocol", 6)


def test_mistakes_are_told_to_programs(lock_bridge, config):
    config.write_text("[bridge]\nid = 1\n")
    ended = lock_bridge("check-config", "--json", "--online")
    told = json.loads(ended.out)
    assert ended.code == 2
    assert told["ok"] is False
    assert told["mistakes"] == [
        {"key": "mqtt", "line": None, "message": "is required"},
        {"key": "bridge.id", "line": 2, "message": "must be text in quotes"},
    ]


def at(config, port):
    config.write_text(config.read_text().replace("1883", str(port)))


def test_a_broker_that_is_not_there_ends_with_one(lock_bridge, config):
    port = free_port()
    at(config, port)
    ended = lock_bridge("check-config", "--online")
    assert ended.code == 1
    assert ended.err == (
        f"error: the broker at 127.0.0.1:{port} was not reached: Connection refused; "
        "check mqtt.url, the certificates, and that the broker runs\n"
    )


async def test_a_broker_that_takes_the_bridge_is_told(lock_bridge, config, tmp_path):
    async with Mosquitto(tmp_path) as broker:
        at(config, broker.port)
        ended = await to_thread.run_sync(lock_bridge, "check-config", "--online")
        assert (ended.code, ended.out, ended.err) == (0, f"{config} is valid and the broker takes it.\n", "")
        ended = await to_thread.run_sync(lock_bridge, "check-config", "--online", "--json")
        assert json.loads(ended.out)["broker"] == "reached"


async def test_a_broker_that_refuses_the_login_ends_with_one(lock_bridge, config, tmp_path):
    async with Mosquitto(tmp_path, "allow_anonymous false\n") as broker:
        at(config, broker.port)
        ended = await to_thread.run_sync(lock_bridge, "check-config", "--online", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["ok"]) == (1, False)
    assert told["broker"].startswith(f"the broker at 127.0.0.1:{broker.port} refuses the bridge: ")
    assert told["broker"].endswith("check username and password_file, and what the broker allows them")
