"""The drill of cut connections and restarts of PostgreSQL in short, and the proof that it can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from drilling import Patch, changed, drill

ANSWERED_ALL_THE_SAME: Patch = (
    "adapters/sql/server_transaction.py",
    """            link.terminate()
            raise commit_unknown(error) from error
        if not committed""",
    """            link.terminate()
            return
        if not committed""",
)
NO_REPLY_STORED: Patch = ("kernel/invoke.py", "        if call.claim is not None:\n", "        if False:\n")
DOUBT_IS_NO_REASON: Patch = (
    "adapters/sql/sharing.py",
    "            return error if in_doubt(error) else _Turn.ALONE\n",
    "            return _Turn.ALONE\n",
)
BEFORE_COMMIT, AFTER_COMMIT, AFTER_SHARED = 1, 2, 7


def test_cuts_and_a_restart_lose_nothing_and_double_nothing() -> None:
    code, told = drill("cuts", "--count", "6")
    assert code == 0, str(told)
    assert (told["cuts"], told["restarts"]) == (6, 1)
    assert told["acknowledged"] > 20


@pytest.mark.parametrize(
    ("patch", "moment", "faults"),
    [
        pytest.param(ANSWERED_ALL_THE_SAME, BEFORE_COMMIT, {"lost", "effects_missing"}, id="answered all the same"),
        pytest.param(NO_REPLY_STORED, AFTER_COMMIT, {"applied_twice"}, id="no reply is stored"),
        pytest.param(DOUBT_IS_NO_REASON, AFTER_SHARED, {"wrong_answers"}, id="done again though in doubt"),
    ],
)
def test_cuts_find_what_is_lost_or_done_twice(tmp_path: Path, patch: Patch, moment: int, faults: set[str]) -> None:
    code, told = drill("cuts", "--count", "9", "--moment", str(moment), package=changed(tmp_path, patch))
    assert code == 1, str(told)
    assert told["faults"].keys() & faults, str(told)
