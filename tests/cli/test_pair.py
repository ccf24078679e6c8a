import json
import stat

import pytest
import typer

from bridge import pairing
from bridge.catalog import installed
from bridge.cli import blocks, tools
from bridge.cli.boundary import Stop
from bridge.cli.guide import guide
from bridge.config import load
from bridge.keys.credentials import Credentials
from drivers.base import LinkLost, PairingError
from drivers.nuki import NukiDriver

ADDRESS = "54:D2:72:00:00:01"
BLOCK = '[[locks]]\nid = "back"\nname = "Back \\"door\\""\ndriver = "nuki"\naddress = "54:D2:72:00:00:02"\n'


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(pairing.pairing, "PATIENCE", 1.5)


@pytest.fixture
def on_the_air(config, monkeypatch):
    """The virtual lock is on the air and the configuration does not have it."""
    known = load(config)
    radio_for = tools.radio_for
    monkeypatch.setattr(tools, "radio_for", lambda _config, *, pairing: radio_for(known, pairing=pairing))
    config.write_text(config.read_text().partition("[[locks]]")[0])
    return config


def stored(config, lock_id):
    return Credentials(config.parent / "state").load(lock_id, NukiDriver())


def test_a_lock_that_is_ready_is_paired_and_its_block_is_shown(lock_bridge, on_the_air):
    ended = lock_bridge("pair", "nuki", "--id", "front", "--name", "Front door")
    assert ended.code == 0
    assert ended.out == f'[[locks]]\nid = "front"\nname = "Front door"\ndriver = "nuki"\naddress = "{ADDRESS}"\n'
    assert "Paired. The lock answers over its new key: it is locked, battery 100 %." in ended.err
    key = stored(on_the_air, "front").key.get_secret_value()
    assert key not in ended.out + ended.err


def test_an_id_is_made_from_the_address(lock_bridge, on_the_air):
    ended = lock_bridge("pair", "nuki", ADDRESS.lower())
    assert 'id = "nuki_000001"\nname = "nuki_000001"\n' in ended.out
    assert stored(on_the_air, "nuki_000001")


def test_a_pin_comes_from_a_file_and_is_shown_nowhere(lock_bridge, on_the_air, tmp_path):
    (tmp_path / "pin").write_text("4711\n")
    ended = lock_bridge("pair", "nuki", "--id", "front", "--pin-file", tmp_path / "pin")
    assert ended.code == 0
    assert stored(on_the_air, "front").pin.get_secret_value() == "4711"
    assert "4711" not in ended.out + ended.err


@pytest.mark.parametrize(("answer", "pin"), [("4711", "4711"), ("", None)])
def test_on_a_terminal_the_pin_is_asked_for_and_not_echoed(lock_bridge, on_the_air, monkeypatch, answer, pin):
    asked = {}
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda *_question, **how: asked.update(how) or answer)
    assert lock_bridge("pair", "nuki", "--id", "front").code == 0
    assert asked["hide_input"] is True
    found = stored(on_the_air, "front").pin
    assert (found and found.get_secret_value()) == pin


@pytest.mark.parametrize("content", ["12x4", "\u0664\u0667", "-1"])
def test_a_pin_is_digits_and_a_wrong_one_is_not_repeated(lock_bridge, config, tmp_path, content):
    (tmp_path / "pin").write_text(content)
    ended = lock_bridge("pair", "nuki", "--pin-file", tmp_path / "pin")
    assert (ended.code, ended.err) == (2, "error: the PIN must be digits only\n")


def test_a_pin_file_that_is_absent_is_told(lock_bridge, config, tmp_path):
    ended = lock_bridge("pair", "nuki", "--pin-file", tmp_path / "none")
    assert (ended.code, ended.err) == (2, f"error: the PIN file {tmp_path}/none cannot be read\n")


def test_write_adds_the_lock_to_the_configuration(lock_bridge, on_the_air):
    on_the_air.chmod(0o640)
    ended = lock_bridge("pair", "nuki", "--id", "front", "--write")
    assert ended.code == 0
    assert [(lock.id, lock.address) for lock in load(on_the_air).locks] == [("front", ADDRESS)]
    assert stat.S_IMODE(on_the_air.stat().st_mode) == 0o640


def test_a_lock_that_is_configured_already_is_paired_anew_under_its_id(lock_bridge, config):
    before = config.read_text()
    ended = lock_bridge("pair", "nuki", "--write")
    assert (ended.code, ended.out) == (0, "")
    assert 'The configuration has it as "front_door" already.' in ended.err
    assert stored(config, "front_door")
    assert config.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--id", "front_door", "54:D2:72:00:00:02"), "choose another --id for this one"),
        (("--id", "other", ADDRESS), 'is configured as "front_door"; leave --id out'),
        (("--id", "a/b"), "must not contain spaces"),
        (("--name", " "), "must be 1 to 64 printable"),
        (("nowhere",), "must be a Bluetooth address"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_done(lock_bridge, config, arguments, told):
    ended = lock_bridge("pair", "nuki", *arguments)
    assert ended.code == 2
    assert told in " ".join(ended.err.replace("│", " ").split())
    assert not (config.parent / "state").exists()


def test_an_id_of_another_lock_is_refused_once_the_lock_is_found(lock_bridge, config):
    ended = lock_bridge("pair", "nuki", "--id", "other")
    assert ended.code == 2
    assert not list((config.parent / "state").iterdir())


def test_an_unknown_driver_is_told(lock_bridge, config):
    ended = lock_bridge("pair", "nuky")
    told = f'error: there is no driver "nuky"; installed are: {", ".join(installed())}\n'
    assert (ended.code, ended.err) == (2, told)


@pytest.mark.usefixtures("impatient")
def test_where_no_lock_is_heard_it_says_what_to_do(lock_bridge, config):
    ended = lock_bridge("pair", "nuki", "54:D2:72:00:00:09")
    assert ended.code == 1
    assert "no such lock was heard" in ended.err


@pytest.mark.usefixtures("impatient")
def test_where_no_lock_is_ready_it_says_what_to_do(lock_bridge, config, monkeypatch):
    radio_for = tools.radio_for
    monkeypatch.setattr(tools, "radio_for", lambda config, **_pairing: radio_for(config))
    ended = lock_bridge("pair", "nuki")
    assert ended.code == 1
    assert f"{ADDRESS} is in range (-60 dBm), but not ready to pair. Hold the lock's button" in ended.err
    assert "the lock did not become ready to pair" in ended.err


def test_a_lock_that_refuses_leaves_no_key(lock_bridge, config, monkeypatch):
    async def refuse(_driver, _link, _request):
        raise PairingError("The lock takes no more users; remove one in its app.")

    monkeypatch.setattr(NukiDriver, "pair", refuse)
    ended = lock_bridge("pair", "nuki")
    assert ended.code == 1
    assert ended.err.endswith("error: The lock takes no more users; remove one in its app.\n")
    assert not list((config.parent / "state").iterdir())


def test_a_key_that_could_not_be_tried_is_not_kept_and_it_says_what_is_left_to_do(lock_bridge, config, monkeypatch):
    before = lock_bridge("pair", "nuki") and stored(config, "front_door")

    async def lose(_driver, _link, _credential, _options):
        raise LinkLost

    monkeypatch.setattr(NukiDriver, "open", lose)
    ended = lock_bridge("pair", "nuki")
    assert (ended.code, ended.out) == (1, "")
    assert stored(config, "front_door") == before
    assert ended.err.endswith(
        "error: The connection to the lock was lost. No key was kept here. The lock still knows it, since the "
        'connection to the lock was lost; remove "lock-bridge g1" from its users in the vendor\'s app.\n'
    )


def test_what_was_paired_is_told_to_programs(lock_bridge, on_the_air):
    told = json.loads(lock_bridge("pair", "nuki", "--id", "front", "--json").out)
    assert (told["lock_id"], told["address"], told["configured"], told["state"]["lock_state"]) == (
        "front",
        ADDRESS,
        False,
        "locked",
    )
    assert told["block"].startswith("[[locks]]\n")
    assert stored(on_the_air, "front").key.get_secret_value() not in json.dumps(told)


@pytest.mark.parametrize("what", ["pair", "open"])
def test_a_lock_that_falls_silent_is_not_waited_for_for_ever(lock_bridge, config, monkeypatch, what):
    async def hang(*_arguments):
        import anyio

        await anyio.sleep_forever()

    monkeypatch.setattr(NukiDriver, what, hang)
    monkeypatch.setattr(pairing.conversation, "TALKING", 0.1)
    ended = lock_bridge("pair", "nuki")
    assert ended.code == 1
    assert "in time" in ended.err


def test_a_bridge_keeps_its_number_and_two_bridges_differ(config, monkeypatch, tmp_path):
    monkeypatch.setattr(pairing.subjects, "_MACHINE_ID", tmp_path / "machine-id")
    (tmp_path / "machine-id").write_text("m1\n")
    bridge = load(config)
    first = pairing.request(bridge, None, as_bridge=False)
    assert first == pairing.request(bridge, None, as_bridge=False)
    assert len(first.name.encode()) <= 32
    (tmp_path / "machine-id").write_text("m2\n")
    assert pairing.request(bridge, None, as_bridge=False).app_id != first.app_id
    (tmp_path / "machine-id").unlink()
    assert pairing.request(bridge, None, as_bridge=False) != pairing.request(bridge, None, as_bridge=False)


def test_a_block_is_toml_whatever_the_name(config):
    assert blocks.block("back", 'Back "door"', "nuki", "54:D2:72:00:00:02") == BLOCK


def test_a_block_is_appended_and_nothing_else_changes(config):
    before = config.read_text()
    blocks.append(config, BLOCK, "back")
    assert config.read_text() == f"{before}\n{BLOCK}"
    assert [path.name for path in config.parent.iterdir()] == ["config.toml"]


def test_a_configuration_that_is_a_link_stays_one(config, tmp_path):
    (tmp_path / "folder").mkdir()
    target = config.rename(tmp_path / "folder" / "real.toml")
    config.symlink_to(target)
    blocks.append(config, BLOCK, "back")
    assert config.is_symlink()
    assert target.read_text().endswith(BLOCK)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BLOCK.replace("back", "front_door"), "would not be valid with this lock added: is the id of locks.0. already"),
        ("", "the environment overrides the configured locks"),
    ],
)
def test_what_would_break_the_configuration_is_not_written(config, text, told):
    before = config.read_text()
    with pytest.raises(Stop, match=told):
        blocks.append(config, text, "back")
    assert config.read_text() == before
    assert [path.name for path in config.parent.iterdir()] == ["config.toml"]


def test_a_configuration_that_cannot_be_written_is_as_it_was(lock_bridge, on_the_air, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied", "config.toml")

    before = on_the_air.read_text()
    monkeypatch.setattr(blocks.Path, "replace", refuse)
    ended = lock_bridge("pair", "nuki", "--id", "front", "--write")
    monkeypatch.undo()
    assert ended.code == 4
    assert ended.out.startswith("[[locks]]")
    assert on_the_air.read_text() == before
    assert sorted(path.name for path in on_the_air.parent.iterdir()) == ["config.toml", "state"]


@pytest.mark.parametrize(
    ("step", "told"), [("proving", "nothing is kept"), ("kept", "The new key is kept and in use.")]
)
def test_whoever_stops_it_is_told_what_is_kept(capsys, step, told):
    def stopped():
        with guide("Stopped, and nothing is kept here.") as hear:
            hear({"step": step, "message": "Going on ..."})
            raise KeyboardInterrupt

    with pytest.raises(typer.Exit):
        stopped()
    assert told in capsys.readouterr().err
