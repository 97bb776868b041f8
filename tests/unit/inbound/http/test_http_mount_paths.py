"""Which mounted application a path belongs to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.inbound.http.mounts import Mount, Mounts
from mainstay.inbound.http.problems import PathMalformed


def mount(path: str) -> Mount:
    bound: Any = None
    return Mount(path=path, app=None, bound=bound, max_body=1)  # type: ignore[arg-type]  # neither is looked at


MOUNTS = Mounts([mount("/a"), mount("/a/b"), mount("/c.d")])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/a", ("/a", "/a", b"/a")),
        (b"/a/", ("/a", "/a/", b"/a/")),
        (b"/a/x", ("/a", "/a/x", b"/a/x")),
        (b"/a/b", ("/a/b", "/a/b", b"/a/b")),
        (b"/a/b/c", ("/a/b", "/a/b/c", b"/a/b/c")),
        (b"/a/bc", ("/a", "/a/bc", b"/a/bc")),
        (b"/a%2Fb", None),
        (b"/%61/%62/%C5%BC%2fx", ("/a/b", "/a/b/ż/x", b"/a/b/%C5%BC%2fx")),
        (b"/c.d/..x", ("/c.d", "/c.d/..x", b"/c.d/..x")),
        (b"/c%2Ed", ("/c.d", "/c.d", b"/c.d")),
        (b"/ab", None),
        (b"/", None),
        (b"//a", None),
    ],
)
def test_the_longest_path_counts(path: bytes, expected: Any) -> None:
    found = MOUNTS.find(path)
    assert (None if found is None else (found.mount.path, found.path, found.raw_path)) == expected


def test_the_root_takes_the_rest() -> None:
    mounts = Mounts([mount(""), mount("/a")])
    root, a = mounts.find(b"/x/y"), mounts.find(b"/a/x")
    assert root is not None
    assert a is not None
    assert (root.mount.path, root.path, a.mount.path) == ("", "/x/y", "/a")


@given(st.lists(st.sampled_from(["..", ".", "a", "", "%2e", "%2E%2e", "%2f", "%5c", "b%2f..", "x"]), max_size=6))
def test_nothing_leads_out_of_a_mount(segments: list[str]) -> None:
    """However dots and slashes are written, what is passed on holds no segment that leads elsewhere."""
    try:
        found = MOUNTS.find(("/a/" + "/".join(segments)).encode())
    except PathMalformed:
        return
    assert found is not None
    assert not {".", ".."} & set(found.path.replace("\\", "/").split("/"))


def test_no_mounts() -> None:
    assert not Mounts([])
    assert Mounts([]).find(b"/a") is None
