"""Taking secrets out of what leaves the house. Pure.

Rules:
1. What is known to be secret is taken out in every form in which it is usually written.
2. What looks like a secret is taken out too: a log may hold one that nobody knows of any more.
3. Whoever gives something away checks it once more with `leaks`, and rather gives nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, SecretStr

HIDDEN = "[hidden]"
SHORTEST = 4
"""Characters of a secret that can be told from other text; what is shorter is no secret."""

_SECRET_NAME = re.compile(
    r"(?i)(^|[_.\- ])(pass(word|phrase|wd)?|secret|token|credential|key|api_?key|pin|pin_?code|code|psk|private)s?"
    r"($|[_.\- ])"
)
"""Names of what is secret; not of the file that holds it."""
_NAMES_A_FILE = re.compile(r"(?i)(file|path|dir|folder)$")

_TOKEN = re.compile(r"(?=.*\d)\S{8,}")
"""What in an address may be a token."""

_WORD = r"(?:pass(?:word|phrase|wd)?|secret|token|api[_-]?key|key|psk)s?"
_CODE = r"(?:pin|code|keypad)s?"
_LOOKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[\w.~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\b(seam_|whsec_|whsk_)[\w.+/=-]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@\"']+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?i)\b(https?://[^\s/\"'?#]+)[/?#][^\s\"']*"), rf"\1/{HIDDEN}"),
    (
        re.compile(rf"(?i)([\"']?\b[\w.-]*{_WORD}[\"']?\s*(?:[=:]|\bis\b)\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;}}\])]+)"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"(?i)({_CODE}[^\w\n]{{1,4}}(?:[a-z]+[^\w\n]{{1,4}}){{0,2}})\d{{4,10}}\b"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(?:[0-9A-Fa-f]{2}[: ]){15,}[0-9A-Fa-f]{2}\b"), HIDDEN),
    (re.compile(r"\b[0-9A-Fa-f]{32,}\b"), HIDDEN),
)
"""What looks like a secret, and what stands in its place: keys, headers, addresses with a login, codes, long hex."""


def names_a_secret(name: str) -> bool:
    """Tell whether what has this name is secret."""
    return bool(_SECRET_NAME.search(name)) and not _NAMES_A_FILE.search(name)


def secrets_in(data: object, *, named: bool = False) -> set[str]:  # noqa: PLR0911 - one return a kind of data
    """Return the secret values in tables and lists, by their names; logins in addresses too.

    Args:
        data: such as parsed TOML or JSON.
        named: whether it is already below a name that tells of a secret; then numbers that are keys of a table count
            as well, as in `pin_codes`.
    """
    if isinstance(data, BaseModel):
        return secrets_in({name: getattr(data, name) for name in type(data).model_fields}, named=named)
    if isinstance(data, SecretStr):
        return {data.get_secret_value()}
    if isinstance(data, Mapping):
        table = cast("Mapping[object, object]", data)
        found = {str(key) for key in table if named and str(key).isdecimal()}
        for key, value in table.items():
            found |= secrets_in(value, named=named or names_a_secret(str(key)))
        return found
    if isinstance(data, list | tuple | set | frozenset):
        return {each for one in cast("Iterable[object]", data) for each in secrets_in(one, named=named)}
    if isinstance(data, str):
        return {data} if named else _login(data)
    if named and isinstance(data, int) and not isinstance(data, bool):
        return {str(data)}
    return set()


def _login(url: str) -> set[str]:
    """Return what of an address is secret: its password, and what in its path and query looks like a token."""
    if "://" not in url:
        return set()
    try:
        parts = urlsplit(url)
        password, user = parts.password, parts.username
    except ValueError:
        return {url}
    if parts.scheme in ("unix", "file"):
        return set()
    tokens = {each for each in re.split(r"[/?&=]", f"{parts.path}?{parts.query}") if _TOKEN.fullmatch(each)}
    if secret := password or user:
        tokens |= {secret, unquote(secret)}
    return tokens


def forms(secret: str) -> set[str]:
    """Return a secret as it may be written: plain, in hexadecimal, in base64, quoted."""
    found = {secret, quote(secret, safe="")}
    raws = [secret.encode(errors="surrogatepass")]
    if len(secret) % 2 == 0 and re.fullmatch(r"[0-9A-Fa-f]{8,}", secret):
        raws.append(bytes.fromhex(secret))
    for raw in raws:
        found |= {raw.hex(), raw.hex().upper(), raw.hex(":"), raw.hex(" "), raw.hex("-")}
        found |= {base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
        found |= {repr(raw)[2:-1], str(list(raw))}
    return {each for each in found if len(each) >= SHORTEST}


def pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds each of the secrets in a text; None if there are none."""
    written = {form for secret in secrets if len(secret) >= SHORTEST for form in forms(secret)}
    if not written:
        return None
    parts = [_whole(each) for each in sorted(written, key=len, reverse=True)]
    return re.compile("|".join(parts), re.IGNORECASE)


def _whole(form: str) -> str:
    """Find a short number as a whole one alone: a PIN such as 2026 is in every date."""
    escaped = re.escape(form)
    return rf"(?<!\d){escaped}(?!\d)" if form.isdecimal() else escaped


def scrub(text: str, known: re.Pattern[str] | None) -> str:
    """Return a text without what is known to be secret, and without what looks like it."""
    if known is not None:
        text = known.sub(HIDDEN, text)
    for looks, instead in _LOOKS:
        text = looks.sub(instead, text)
    return text


def plain(data: object, *, named: bool = False) -> Any:  # noqa: ANN401 - JSON
    """Return tables and lists without the values, and below them the keys, that are secret by their names."""
    if isinstance(data, Mapping):
        table = cast("Mapping[object, object]", data)
        if named:
            return f"{HIDDEN} ({len(table)})"
        return {str(key): plain(value, named=names_a_secret(str(key))) for key, value in table.items()}
    if isinstance(data, list | tuple):
        return [plain(each, named=named) for each in cast("Iterable[object]", data)]
    if data is None or isinstance(data, bool):
        return data
    return HIDDEN if named else data


def leaks(text: str, known: re.Pattern[str] | None) -> bool:
    """Tell whether a known secret is in a text."""
    return known is not None and known.search(text) is not None
