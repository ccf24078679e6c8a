"""JSON and time as they go over the wire."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire import text

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
moments = st.datetimes(
    min_value=datetime(1000, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001 - as above
    timezones=st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


def test_json_is_compact_and_in_utf8():
    assert text.encode({"name": "Tür", "open": [True, None]}) == '{"name":"Tür","open":[true,null]}'.encode()


@given(values)
def test_what_is_encoded_is_decoded(value):
    try:
        payload = text.encode(value)
    except UnicodeEncodeError:
        assert any("\ud800" <= character <= "\udfff" for character in json.dumps(value, ensure_ascii=False))
    else:
        assert text.decode(payload) == value


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "Expecting value"),
        (b"unlock", "Expecting value"),
        (b'{"action": "unlock"} // now', "Extra data"),
        (b"{'action': 'unlock'}", "Expecting property name"),
        (b'{"action": "\xff"}', "utf-8"),
        ('{"action": "unlock"}'.encode("utf-16"), "utf-8"),
        (b'\xef\xbb\xbf{"action": "unlock"}', "BOM"),
        (b'{"action": "lock", "action": "unlock"}', "it names a key twice"),
        (b'[{"a": {"b": 1, "b": 1}}]', "it names a key twice"),
        (b"NaN", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b"1" * 5000, "digits"),
    ],
)
def test_what_is_no_json_text_is_an_error(payload, reason):
    with pytest.raises(ValueError, match=reason):
        text.decode(payload)


@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_decoding_raises_nothing_but_value_errors(payload):
    try:
        text.decode(payload)
    except ValueError:
        return
    json.loads(payload)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T14:00:00+02:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00-00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.5Z", datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123456789Z", datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_an_rfc_3339_time_is_read(written, moment):
    assert text.parse_time(written) == moment


@pytest.mark.parametrize(
    "written",
    [
        "",
        "noon",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "2026-01-31T12:00:00+0200",
        "2026-01-31T12:00:00,5Z",
        "2026-02-30T12:00:00Z",
        "2026-01-31T24:30:00Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00Z\n",
        " 2026-01-31T12:00:00Z",
        "٢٠٢٦-01-31T12:00:00Z",
        "0000-01-31T12:00:00Z",
        "1769860800",
    ],
)
def test_any_other_time_is_an_error(written):
    with pytest.raises(ValueError, match=r"."):
        text.parse_time(written)


@given(st.text(max_size=40) | st.from_regex(text._RFC3339, fullmatch=True))
def test_parsing_a_time_raises_nothing_but_value_errors_and_always_has_a_zone(written):
    try:
        moment = text.parse_time(written)
    except ValueError:
        return
    assert moment.tzinfo is not None


@given(moments)
def test_times_are_written_in_utc_and_read_back_as_the_same_moment(moment):
    whole = moment.replace(microsecond=0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text.seconds(moment))
    assert text.parse_time(text.seconds(moment)) == whole
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text.milliseconds(moment))
    assert timedelta(0) <= moment - text.parse_time(text.milliseconds(moment)) < timedelta(milliseconds=1)
