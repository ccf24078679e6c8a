import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.lines import _Scanner, locate

TEXT = '''\
# a comment with [a table] and a = sign
top = 1
dotted.key = 'x' # comment

[table]
multi = """
a = 1
\\"""
[not.a.table]
"""
literal = \'\'\'
b = 2\'\'\'
"quoted key" = "with # and = and ]"
array = [
  1, # one
  [2, 3],
  { inline = "x", deep.er = [4] },
]
empty = []
nothing = {}
when = 2026-01-01 10:00:00
[[locks]]
id = "a"
  [locks.virtual]
  pin_codes = { 1379 = "Ada" }
[[locks]]
id = "b"
[locks.virtual.deep]
x = 1
'''

LINES = {
    ("top",): 2,
    ("dotted",): 3,
    ("dotted", "key"): 3,
    ("table",): 5,
    ("table", "multi"): 6,
    ("table", "literal"): 11,
    ("table", "quoted key"): 13,
    ("table", "array"): 14,
    ("table", "array", 0): 15,
    ("table", "array", 1): 16,
    ("table", "array", 1, 0): 16,
    ("table", "array", 1, 1): 16,
    ("table", "array", 2): 17,
    ("table", "array", 2, "inline"): 17,
    ("table", "array", 2, "deep"): 17,
    ("table", "array", 2, "deep", "er"): 17,
    ("table", "array", 2, "deep", "er", 0): 17,
    ("table", "empty"): 19,
    ("table", "nothing"): 20,
    ("table", "when"): 21,
    ("locks",): 22,
    ("locks", 0): 22,
    ("locks", 0, "id"): 23,
    ("locks", 0, "virtual"): 24,
    ("locks", 0, "virtual", "pin_codes"): 25,
    ("locks", 0, "virtual", "pin_codes", "1379"): 25,
    ("locks", 1): 26,
    ("locks", 1, "id"): 27,
    ("locks", 1, "virtual", "deep"): 28,
    ("locks", 1, "virtual", "deep", "x"): 29,
}


def test_each_key_is_found_on_its_line():
    tomllib.loads(TEXT)
    assert locate(TEXT) == LINES


def test_windows_line_ends_count_once():
    assert locate("a = 1\r\n[b]\r\nc = 2\r\n") == {("a",): 1, ("b",): 2, ("b", "c"): 3}


def test_a_text_that_was_not_validated_ends_in_an_error_and_not_in_a_loop():
    with pytest.raises(ValueError, match="not TOML at line 2"):
        _Scanner("a = 1\n! = 2\n").scan()


names = st.text("abAB-_1", min_size=1, max_size=4)
scalars = st.integers(-9, 9) | st.booleans() | st.text("a\"'#[]{}=,\n\\", max_size=6)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)


def quoted(text):
    escapes = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escapes.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'


def written(value):
    match value:
        case bool():
            return str(value).lower()
        case str():
            return quoted(value)
        case list():
            return "[\n" + "".join(f"  {written(one)}, # [x]\n" for one in value) + "]"
        case dict():
            return "{ " + ", ".join(f"{quoted(key)} = {written(one)}" for key, one in value.items()) + " }"
    return str(value)


def paths(value, path=()):
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from paths(child, (*path, key))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4), values, max_size=4))
def test_whatever_tomllib_reads_is_located_and_nothing_else(document):
    text = "".join(f"{quoted(key)} = {written(value)}\n" for key, value in document.items())
    assert set(locate(text)) == set(paths(tomllib.loads(text)))
