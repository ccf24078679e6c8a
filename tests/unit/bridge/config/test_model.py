from pathlib import Path

import pytest

from bridge.catalog import installed
from bridge.config import Config, ConfigError, load
from bridge.config import model as configuration
from drivers.base import Action, Capabilities
from drivers.nuki import NukiOptions

SMALLEST = """\
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

INSTALLED = ", ".join(installed())
EXAMPLE = Path(__file__).parents[4] / "config.example.toml"


@pytest.fixture
def read(tmp_path):
    def read(text, environ=None):
        file = tmp_path / "config.toml"
        file.write_text(text)
        return load(file, environ or {})

    return read


@pytest.fixture
def mistakes(read, tmp_path):
    """What is told of a text, a line for each mistake."""

    def mistakes(text, environ=None):
        with pytest.raises(ConfigError) as caught:
            read(text, environ)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return mistakes


def test_the_smallest_configuration_says_enough(read, tmp_path):
    config = read(SMALLEST)
    (lock,) = config.locks
    assert config.bridge.id == "g1"
    assert config.bridge.state_dir == tmp_path / "state"
    assert config.mqtt.response_prefixes == ("lockbridge/",)
    assert (config.commands.ttl, config.commands.max_ttl, config.commands.rate_limit, config.commands.queue_limit) == (
        30,
        60,
        15,
        4,
    )
    assert (lock.id, lock.name, lock.driver, lock.connection, lock.linger, lock.read_log) == (
        "front_door",
        "front_door",
        "nuki",
        "on_demand",
        10,
        True,
    )
    assert lock.poll is None
    assert lock.actions == {Action.LOCK, Action.UNLOCK}
    assert lock.options == NukiOptions()


def test_a_configuration_without_locks_is_valid(read):
    assert read('bridge.id = "g1"\nmqtt.url = "unix:///run/mosquitto.sock"').locks == ()


def test_the_example_is_valid_and_names_every_key():
    load(EXAMPLE, {})
    text = EXAMPLE.read_text()
    for name, table in Config.model_fields.items():
        if name not in ("locks", "source"):
            assert f"[{name}]" in text
            for key in table.annotation.model_fields:
                assert f"{key} = " in text, key
    for key in configuration.LockConfig.model_fields:
        assert key in ("virtual", "options") or f"{key} = " in text, key


def test_relative_paths_start_from_the_files_folder(read, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    config = read(SMALLEST.replace("mqtt://", "mqtts://").replace("[bluetooth]", 'ca_file = "tls/ca.pem"\n[bluetooth]'))
    assert config.bridge.state_dir == tmp_path / "state"
    assert config.mqtt.ca_file == tmp_path / "tls/ca.pem"


def test_a_relative_file_is_read_from_where_the_bridge_was_started(tmp_path, monkeypatch):
    (tmp_path / "config.toml").write_text(SMALLEST)
    monkeypatch.chdir(tmp_path)
    assert load(Path("config.toml"), {}).bridge.state_dir == tmp_path / "state"


def test_virtual_locks_have_addresses_of_their_own_that_stay_the_same(read):
    text = SMALLEST + '[[locks]]\nid = "back_door"\ndriver = "nuki"\n'
    first, second = read(text).locks
    assert first.address != second.address
    assert first.address == read(SMALLEST).locks[0].address
    assert int(first.address[:2], 16) >= 0xC0


def test_the_drivers_own_table_becomes_its_options(read):
    (lock,) = read(SMALLEST + "[locks.nuki]\nlog_tag = false\n").locks
    assert lock.options == NukiOptions(log_tag=False)


def test_a_virtual_lock_is_tuned_by_its_table_and_its_codes_are_in_no_repr(read):
    config = read(SMALLEST + 'virtual = { motor_time = 0, pin_codes = { "1379" = "Ada" } }\n')
    assert config.locks[0].virtual.motor_time == 0
    assert config.locks[0].virtual.pin_codes == {"1379": "Ada"}
    assert "1379" not in repr(config)


def test_the_time_zone_is_known(read):
    assert read(SMALLEST.replace("[mqtt]", 'timezone = "Europe/Berlin"\n[mqtt]')).bridge.timezone == "Europe/Berlin"


MISTAKEN = [
    ("[bridge]", "[brigde]", 'config.toml:1: brigde: unknown key; did you mean "bridge"?'),
    ("[mqtt]", "xyzzy = 1\n[mqtt]", "config.toml:4: bridge.xyzzy: unknown key"),
    ("[mqtt]\n", "[commands]\ntll = 3\n[mqtt]\n", 'config.toml:5: commands.tll: unknown key; did you mean "ttl"?'),
    (
        "[mqtt]\n",
        '[commands]\nttl = "30"\n[mqtt]\n',
        "config.toml:5: commands.ttl: must be a whole number, without quotes",
    ),
    (
        "[mqtt]\n",
        "[commands]\nttl = 30.5\n[mqtt]\n",
        "config.toml:5: commands.ttl: must be a whole number, without quotes",
    ),
    (
        "[mqtt]\n",
        "[commands]\nttl = true\n[mqtt]\n",
        "config.toml:5: commands.ttl: must be a whole number, without quotes",
    ),
    ("[mqtt]\n", "[commands]\nttl = 0\n[mqtt]\n", "config.toml:5: commands.ttl: must be at least 1"),
    ("[mqtt]\n", "[commands]\nmax_ttl = 61\n[mqtt]\n", "config.toml:5: commands.max_ttl: must be at most 60"),
    (
        "[mqtt]\n",
        "[commands]\nmax_ttl = 20\n[mqtt]\n",
        "config.toml:4: commands.ttl: must be at most max_ttl, which is 20",
    ),
    ("[mqtt]\n", "[commands]\nqueue_limit = 0\n[mqtt]\n", "config.toml:5: commands.queue_limit: must be at least 1"),
    (
        "[mqtt]\n",
        '[commands]\nrequire_expiry = "no"\n[mqtt]\n',
        "config.toml:5: commands.require_expiry: must be true or false, without quotes",
    ),
    ('id = "g1"\n', "", "config.toml:1: bridge.id: is required"),
    ("[bridge]\n", "", "config.toml: bridge: is required"),
    ('"g1"', "1", "config.toml:2: bridge.id: must be text in quotes"),
    (
        '"g1"',
        '"g 1"',
        "config.toml:2: bridge.id: must not contain spaces, /, + or #, since it is part of topics",
    ),
    ('"state"', '""', "config.toml:3: bridge.state_dir: must be a path"),
    ('"state"', "3", "config.toml:3: bridge.state_dir: must be text in quotes"),
    (
        "[mqtt]",
        'timezone = "Mars"\n[mqtt]',
        'config.toml:4: bridge.timezone: is no known time zone; write a name such as "Europe/Berlin" or "UTC"',
    ),
    (
        "[mqtt]",
        'workspace_id = "x"\n[mqtt]',
        "config.toml:4: bridge.workspace_id: must be a UUID such as 123e4567-e89b-12d3-a456-426614174000",
    ),
    ("[mqtt]", 'trust_clock = "no"\n[mqtt]', 'config.toml:4: bridge.trust_clock: must be "auto" or "always"'),
    (
        "mqtt://127.0.0.1:1883",
        "mqtt://broker.example",
        (
            "config.toml:5: mqtt.url: would send commands to another machine in clear; "
            "use mqtts://, or set allow_plaintext = true"
        ),
    ),
    (
        "[bluetooth]",
        'ca_file = "c"\n[bluetooth]',
        "config.toml:6: mqtt.ca_file: is of use with mqtts:// only, and url is not that",
    ),
    (
        '"mqtt://127.0.0.1:1883"',
        '"mqtts://b"\nkey_file = "k"',
        "config.toml:6: mqtt.key_file: needs cert_file too",
    ),
    ("[bluetooth]", 'password_file = "p"\n[bluetooth]', "config.toml:6: mqtt.password_file: needs username too"),
    (
        "[bluetooth]",
        'password = "p"\n[bluetooth]',
        'config.toml:6: mqtt.password: unknown key; did you mean "password_file"?',
    ),
    ("[bluetooth]", 'protocol = "4"\n[bluetooth]', 'config.toml:6: mqtt.protocol: must be "5" or "3.1.1"'),
    (
        "[bluetooth]",
        'prefix = "a/b/c/d"\n[bluetooth]',
        "config.toml:6: mqtt.prefix: must hold fewer than 2 slashes, since no topic may have more than 7",
    ),
    (
        "[bluetooth]",
        'response_prefixes = ["ok/", "a/+"]\n[bluetooth]',
        (
            "config.toml:6: mqtt.response_prefixes[1]: must be the beginning of a topic, "
            "without + and # and not beginning with $"
        ),
    ),
    (
        "[[locks]]",
        'adapters = "00:11:22:33:44:55"\n[[locks]]',
        "config.toml:8: bluetooth.adapters: must be a list, in square brackets",
    ),
    (
        "[[locks]]",
        'scan = "fast"\n[[locks]]',
        'config.toml:8: bluetooth.scan: must be "active", "passive" or "auto"',
    ),
    (
        "[[locks]]",
        'adapters = ["hci0"]\n[[locks]]',
        "config.toml:8: bluetooth.adapters[0]: must be a Bluetooth address such as 54:D2:72:AB:CD:EF",
    ),
    ('"virtual"', '"bluez"', "config.toml:8: locks[0].address: is required; lock-bridge scan shows it"),
    (
        '"virtual"\n',
        '"bluez"\nvirtual_air = "a"\n',
        'config.toml:8: bluetooth.virtual_air: is of use with radio = "virtual" only',
    ),
    (
        "[[locks]]",
        "[http]\nlisten = 80\n[[locks]]",
        "config.toml:9: http.listen: must be text in quotes",
    ),
    (
        "[[locks]]",
        '[http]\nlisten = "80"\n[[locks]]',
        'config.toml:9: http.listen: must be an address and a port, such as "127.0.0.1:8080" or "[::1]:8080"',
    ),
    (
        'driver = "nuki"',
        'driver = "nuky"',
        f'config.toml:10: locks[0].driver: there is no driver "nuky"; installed are: {INSTALLED}',
    ),
    ('driver = "nuki"', "driver = []", "config.toml:10: locks[0].driver: must be text in quotes"),
]
LATER = [
    ('actions = ["open"]', 'locks[0].actions[0]: must be "lock", "unlock" or "unlatch"'),
    ("actions = []", 'locks[0].actions: must name at least one action, such as ["lock"]'),
    ('actions = "lock"', "locks[0].actions: must be a list, in square brackets"),
    ("linger = 301", "locks[0].linger: must be at most 300"),
    ("linger = nan", "locks[0].linger: must be a finite number"),
    ("poll = -1", "locks[0].poll: must be at least 0"),
    ("poll = 86401", "locks[0].poll: must be at most 86400"),
    ("linger = 2026-01-01", "locks[0].linger: must be a number, without quotes"),
    ('name = " "', "locks[0].name: must be 1 to 64 printable characters"),
    ("options = {}", 'locks[0].options: unknown key; did you mean "actions"?'),
    ("nuki.log_tga = true", 'locks[0].nuki.log_tga: unknown key; did you mean "log_tag"?'),
    ("nuki.log_tag = 1", "locks[0].nuki.log_tag: must be true or false, without quotes"),
    ("nuki = 3", "locks[0].nuki: must be a table"),
    ("virtual.motor_time = '1'", "locks[0].virtual.motor_time: must be a number, without quotes"),
    ("virtual.motor_tme = 1", 'locks[0].virtual.motor_tme: unknown key; did you mean "motor_time"?'),
    ("virtual.pin_codes.1379 = 3", "locks[0].virtual.pin_codes: must be text in quotes"),
]


@pytest.mark.parametrize(("right", "wrong", "told"), MISTAKEN)
def test_a_mistake_is_named_by_key_and_line(mistakes, right, wrong, told):
    assert right in SMALLEST
    assert told in mistakes(SMALLEST.replace(right, wrong, 1))


@pytest.mark.parametrize(("line", "told"), LATER)
def test_a_mistake_in_a_lock_is_named_by_key_and_line(mistakes, line, told):
    assert mistakes(f"{SMALLEST}{line}\n") == [f"config.toml:11: {told}"]


def test_every_mistake_is_told_in_the_order_of_the_file(mistakes):
    told = mistakes(SMALLEST.replace("g1", "g/1").replace("virtual", "wifi") + "conection = 1\nnuki.x = 1\n")
    assert [line.partition(" ")[0] for line in told] == [
        "config.toml:2:",
        "config.toml:7:",
        "config.toml:11:",
        "config.toml:12:",
    ]


def test_two_locks_cannot_share_an_id_or_an_address(mistakes):
    text = SMALLEST + '[[locks]]\nid = "front_door"\ndriver = "nuki"\n'
    assert mistakes(text) == ["config.toml:12: locks[1].id: is the id of locks[0] already"]
    text = SMALLEST + 'address = "54:d2:72:00:00:01"\n'
    text += '[[locks]]\nid = "b"\ndriver = "nuki"\naddress = "54:D2:72:00:00:01"\n'
    assert mistakes(text) == ["config.toml:15: locks[1].address: is the address of locks[0] already"]


def test_a_virtual_lock_is_not_tuned_on_a_real_radio(mistakes):
    text = SMALLEST.replace('"virtual"', '"bluez"') + 'address = "54:D2:72:00:00:01"\nvirtual.locked = true\n'
    assert mistakes(text) == [
        'config.toml:12: locks[0].virtual: is of use with [bluetooth] radio = "virtual" only',
    ]


@pytest.mark.parametrize(
    "case",
    [
        (3, 0, "", None),
        (2, 5, "", None),
        (3, 1, "", 'locks[2].connection: leaves no connection for the other locks; at most 2 may be "always"'),
        (4, 0, "", 'locks[3].connection: leaves no connection for the other locks; at most 3 may be "always"'),
        (4, 0, "max_connections = 4", None),
        (5, 1, 'adapters = ["00:00:00:00:00:01", "00:00:00:00:00:02"]', None),
    ],
)
def test_standing_connections_leave_one_for_the_other_locks(mistakes, read, case):
    standing, others, bluetooth, told = case
    text = SMALLEST.partition("[[locks]]")[0].replace('"virtual"', f'"bluez"\n{bluetooth}')
    for number in range(standing + others):
        text += f'[[locks]]\nid = "l{number}"\ndriver = "nuki"\naddress = "54:D2:72:00:00:{number:02}"\n'
        text += 'connection = "always"\n' if number < standing else ""
    if told is None:
        read(text)
    else:
        (mistake,) = mistakes(text)
        assert told in mistake


def test_a_table_of_another_driver_is_refused(mistakes):
    told = mistakes(SMALLEST.replace('driver = "nuki"', 'driver = "yael"') + "nuki.log_tag = true\n")
    assert told[1] == "config.toml:11: locks[0].nuki: is of use with another driver than this lock's"


def test_the_actions_of_an_unknown_driver_are_not_judged(mistakes):
    (only,) = mistakes(SMALLEST.replace('driver = "nuki"', 'driver = "yael"') + 'actions = ["lock"]\n')
    assert only.startswith("config.toml:10: locks[0].driver: ")


def test_an_action_that_the_driver_cannot_do_is_refused(mistakes, monkeypatch):
    driver = configuration.catalog.load("nuki")
    locking = type("Locking", (type(driver),), {"capabilities": Capabilities(frozenset({Action.LOCK}))})()
    monkeypatch.setattr(configuration.catalog, "load", lambda _name: locking)
    assert mistakes(f'{SMALLEST}actions = ["lock", "unlatch"]') == [
        'config.toml:11: locks[0].actions: the driver "nuki" cannot do: unlatch'
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[bridge]\nid = g1\n", "config.toml:2: a value is missing, or is text without quotes"),
        ("[bridge]\nid = 'a'\nid = 'b'\n", "config.toml:3: a key is written twice"),
        ("[bridge]\n[bridge]\n", "config.toml:2: a table is written twice"),
        ("[bridge]\nid = [1,\n\n", "config.toml:2: a value is missing, or is text without quotes"),
        ("[bridge]\nid 3\n", "config.toml:2: not valid TOML: expected '=' after a key in a key/value pair"),
        ("[bridge]\n= 3\n", "config.toml:2: neither a [table] nor a key = value"),
    ],
)
def test_what_is_no_toml_is_named_by_its_line(mistakes, text, told):
    (only,) = mistakes(text)
    assert only == told


def test_a_url_with_a_password_is_refused_without_repeating_it(mistakes):
    told = mistakes(SMALLEST.replace("mqtt://", "mqtt://ada:hunter2@"))
    assert told == [
        "config.toml:5: mqtt.url: must not hold a user or a password; use username and password_file instead"
    ]


def test_an_error_hides_what_was_written_where_a_secret_may_stand(read):
    with pytest.raises(ConfigError) as caught:
        read(SMALLEST + 'nuki = "hunter2"\nvirtual = "hunter2"\nvirtuel = "hunter2"\n')
    assert "hunter2" not in repr(caught.value) + str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_absent_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: there is no such file; make one from config\.example\.toml"):
        load(tmp_path / "none.toml", {})


def test_a_folder_and_bytes_are_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="is a folder, not a file"):
        load(tmp_path, {})
    (tmp_path / "c").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(tmp_path / "c", {})


def test_a_path_through_a_file_is_no_configuration(tmp_path):
    (tmp_path / "c").touch()
    with pytest.raises(ConfigError, match="a part of its path is no folder"):
        load(tmp_path / "c" / "d", {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = " + "[" * 5000, "nested too deeply"),
        ("x = " + "[" * 300 + "]" * 300, "nested too deeply"),
        ("x = " + "9" * 5000, "a number in it is too long"),
    ],
)
def test_what_python_itself_does_not_read_is_a_mistake(tmp_path, text, told):
    (tmp_path / "c").write_text(text)
    with pytest.raises(ConfigError, match=told):
        load(tmp_path / "c", {})


def test_an_environment_that_is_no_text_is_a_mistake(tmp_path):
    (tmp_path / "c").touch()
    with pytest.raises(ConfigError, match=r"bridge\.id: is not UTF-8 text in the environment"):
        load(tmp_path / "c", {"LOCK_BRIDGE__BRIDGE__ID": "\udcff"})


def test_the_environment_wins_over_the_file_and_its_text_is_converted(read):
    config = read(
        SMALLEST,
        {
            "LOCK_BRIDGE__MQTT__URL": "mqtt://localhost:1884",
            "LOCK_BRIDGE__COMMANDS__TTL": "20",
            "LOCK_BRIDGE__COMMANDS__REQUIRE_EXPIRY": "true",
            "LOCK_BRIDGE__LOCKS__0__LINGER": "2.5",
            "LOCK_BRIDGE__LOCKS__0__ACTIONS": '["lock"]',
            "LOCK_BRIDGE__LOCKS__0__NUKI__LOG_TAG": "false",
            "LOCK_BRIDGE__LOCKS__0__VIRTUAL": '{"motor_time": 0}',
            "OTHER": "1",
        },
    )
    (lock,) = config.locks
    assert config.mqtt.address.port == 1884
    assert config.commands.ttl == 20
    assert config.commands.require_expiry is True
    assert (lock.linger, lock.actions, lock.options) == (2.5, {Action.LOCK}, NukiOptions(log_tag=False))
    assert lock.virtual.motor_time == 0


def test_without_a_file_the_environment_is_enough(monkeypatch, tmp_path):
    monkeypatch.setattr(configuration, "DEFAULT_FILE", tmp_path / "none.toml")
    environ = {"LOCK_BRIDGE__BRIDGE__ID": "g1", "LOCK_BRIDGE__MQTT__URL": "mqtt://localhost"}
    config = load(None, environ)
    assert (config.bridge.id, config.bridge.state_dir) == ("g1", Path("/var/lib/lock-bridge"))
    with pytest.raises(ConfigError, match="there is no such file"):
        load(None, {})


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("MQTT__PASSWORD", "hunter2", 'mqtt.password: unknown key; did you mean "password_file"?'),
        ("NONSENSE", "1", "nonsense: unknown key"),
        ("COMMANDS__TTL", "soon", "commands.ttl: must be a whole number, without quotes"),
        ("COMMANDS__REQUIRE_EXPIRY", "perhaps", "commands.require_expiry: must be true or false, without quotes"),
        ("MQTT__RESPONSE_PREFIXES", "a/,b/", "mqtt.response_prefixes: must be a list, in square brackets"),
        ("LOCKS", '{"a": 1}', "locks: must be a list, in square brackets"),
        ("LOCKS__0__DRIVER", "x", f'locks[0].driver: there is no driver "x"; installed are: {INSTALLED}'),
    ],
)
def test_a_mistake_in_the_environment_is_named_by_its_variable(mistakes, variable, value, told):
    (only,) = mistakes(SMALLEST, {f"LOCK_BRIDGE__{variable}": value})
    assert only == f"config.toml: {told} (set by LOCK_BRIDGE__{variable} in the environment)"
    assert "hunter2" not in only


def test_a_mistake_about_a_key_that_was_not_read_from_a_file_has_no_line():
    config = Config.model_validate({"bridge": {"id": "g"}, "mqtt": {"url": "mqtt://localhost"}})
    assert config.mistake(("mqtt", "url"), "is odd").line is None
    assert str(config.error(("mqtt", "url"), "is odd")) == "configuration: mqtt.url: is odd"
