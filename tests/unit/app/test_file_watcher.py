"""What `run --reload` sees."""

from __future__ import annotations

import os
from pathlib import Path

from mainstay.app.watching import Watcher


def test_what_is_new_changed_or_gone_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    module = tmp_path / "shop" / "service.py"
    module.write_text("1")
    watcher = Watcher([tmp_path])
    assert watcher.changes() == []
    module.write_text("22")
    assert watcher.changes() == [module]
    assert watcher.changes() == []
    other = tmp_path / "mainstay.toml"
    other.touch()
    assert watcher.changes() == [other]
    other.unlink()
    assert watcher.changes() == [other]


def test_a_change_of_the_same_length_is_seen(tmp_path: Path) -> None:
    module = tmp_path / "a.py"
    module.write_text("1")
    watcher = Watcher([tmp_path])
    draft = tmp_path / "draft"
    draft.write_text("2")
    os.utime(draft, ns=(module.stat().st_atime_ns, module.stat().st_mtime_ns))
    draft.replace(module)  # as editors save: another file under the name
    assert watcher.changes() == [module]


def test_what_is_no_code_is_passed_over(tmp_path: Path) -> None:
    watcher = Watcher([tmp_path, tmp_path / "not-there"])
    for name in (".venv/a.py", "__pycache__/a.py", "node_modules/a.py", "data.sqlite"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert watcher.changes() == []
