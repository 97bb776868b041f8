"""What is wrong with a body as text: encoding, syntax, depth, members given twice. Each has its own problem.

The checks that run on every body are counts of bytes; the exact ones run where a count is suspicious, or when decoding
has failed already.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from mainstay.kernel.validate.problems import BodyMissing, DuplicateKey, JsonEncoding, JsonSyntax, JsonTooDeep
from mainstay.model.checking import SURROGATE
from mainstay.model.problem import Fault

_WHITESPACE = b" \t\n\r"
# A string is matched up to the end of the text where it is not closed, so that nothing is scanned twice.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_PAIRS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NOT_OPENING = bytes(set(range(256)) - set(b"[{"))
_RAW = msgspec.json.Decoder(msgspec.Raw)
_SHOWN = 64  # characters of a name that the caller made up

# A string that Python's Decimal reads and the contract does not write: " 1", "1_000", "+1", "1e3", ".5", digits of
# other scripts, escaped digits. Plain texts that only look like it (dates, telephone numbers) are not met: of a body
# with one, all is looked at once more. No loop gives back what it took: it is linear.
ODD_DECIMAL = re.compile(
    rb'"(?=[-+.0-9_ \x80-\xff\\])(?!-?[0-9]++(?:\.[0-9]++)?")(?:'
    rb"[ _]*+[-+]?+_*+(?:\.[0-9_]++|[0-9_]++(?:\.[0-9_]*+)?+)(?:[eE]_*+[-+]?+[0-9_]++)?+[ _]*+"
    rb'|(?=[^"]*[\x80-\xff\\])(?:[-+.0-9eE_ \t\r\n\x80-\xff]|\\u[0-9a-fA-F]{4}|\\[tnrf])++)"'
)


def step(name: str) -> str:
    """Return a member's name as a step of a JSON Pointer (RFC 6901); a very long one is cut."""
    if len(name) > _SHOWN:
        name = name[:_SHOWN] + "…"
    return "/" + name.replace("~", "~0").replace("/", "~1")


def too_deep(body: bytes, limit: int) -> bool:
    """Say whether arrays and objects are nested deeper than ``limit``.

    Of the brackets outside strings, the innermost pairs are taken away ``limit`` times: what is left is deeper, or
    belongs to a text that is no JSON.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    rest = _STRINGS.sub(b"", body).translate(_PAIRS, _NO_BRACKETS)
    for _ in range(limit):
        left = rest.replace(b"[]", b"")
        if len(left) == len(rest):
            break
        rest = left
    return b"[]" in rest or rest.count(b"[") > limit


def too_many(body: bytes, limit: int) -> bool:
    """Say whether a body has more arrays and objects than ``limit``; where it is no JSON, more brackets that open."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    return len(_STRINGS.sub(b"", body).translate(None, _NOT_OPENING)) > limit


def refuse_text(body: bytes, limit: int) -> None:
    """Raise the problem of a body that is no JSON text; return for one that is, whatever it means."""
    if not body.strip(_WHITESPACE):
        raise BodyMissing
    text = _decoded(body)
    if too_deep(body, limit):
        raise JsonTooDeep(f"arrays and objects may be nested {limit} deep")
    try:
        _RAW.decode(body)
    except msgspec.DecodeError as error:
        if _is_json(text):
            raise JsonEncoding("an escaped surrogate is alone", faults=_surrogates(text)) from None
        raise JsonSyntax(f"the body is not JSON: {_where(error)}") from None


def _decoded(body: bytes) -> str:
    if body.startswith(b"\xef\xbb\xbf"):
        raise JsonEncoding("the body begins with a byte order mark")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise JsonEncoding(f"the body is not UTF-8 (byte {error.start})") from None
    if "\x00" in text:
        raise JsonEncoding("the body has a zero byte: it is not UTF-8, or not text")
    return text


def _where(error: msgspec.DecodeError) -> str:
    return str(error).removeprefix("JSON is malformed: ").replace("Input data was truncated", "it ends too early")


def _tree(text: str) -> Any:
    """Parse JSON with objects as tuples of pairs, so that no member is lost, and numbers as their text."""
    return json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_no_constant)


def _no_constant(_name: str) -> None:
    raise ValueError


def _is_json(text: str) -> bool:
    try:
        _tree(text)
    except ValueError:
        return False
    return True


def _values(tree: Any, pointer: str = "") -> Iterator[tuple[Any, str]]:
    """Walk all values of a tree in the order of the text, each with its pointer."""
    yield tree, pointer
    if isinstance(tree, tuple):
        for name, value in tree:
            yield from _values(value, pointer + step(name))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _values(value, f"{pointer}/{index}")


def _lone(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)


def _surrogates(text: str) -> list[Fault]:
    """Return the fault of the first text with a lone surrogate: more are not looked for."""
    faults = []
    for value, pointer in _values(_tree(text)):
        names = [name for name, _ in value] if isinstance(value, tuple) else []
        if any(map(_lone, names)) or (isinstance(value, str) and _lone(value)):
            readable = pointer.encode("utf-8", "replace").decode()
            faults.append(Fault(*SURROGATE, pointer=readable))
    return faults[:1]


def keys_bound(body: bytes) -> int:
    """Return a number that no count of the body's members is above: colons behind a quote, spaces between allowed."""
    found = body.count(b'":')
    for space in (b" :", b"\n:", b"\t:", b"\r:"):
        found += body.count(space)
    return found


def refuse_duplicates(body: bytes, limit: int) -> None:
    """Raise ``DuplicateKey`` where an object of a body that is JSON has a member twice."""
    found = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len(dict(pairs)) != len(pairs)

    text = body.decode()
    json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str)
    if found:
        raise DuplicateKey(faults=_duplicates(_tree(text), limit))


def _duplicates(tree: Any, limit: int) -> list[Fault]:
    faults: list[Fault] = []
    for value, pointer in _values(tree):
        if not isinstance(value, tuple) or len(value) == len(dict(value)):
            continue
        seen: set[str] = set()
        for name, _ in value:
            if name in seen and len(faults) < limit:
                faults.append(Fault("duplicate_key", "may be given once", pointer=pointer + step(name)))
            seen.add(name)
    return list(dict.fromkeys(faults))
