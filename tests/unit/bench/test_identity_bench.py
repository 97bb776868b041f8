"""What the bench of identity tells of its figures."""

from __future__ import annotations

import pytest
from bench.identity import OWN, WITH, WITHOUT, _tell
from bench.measure import Sample


def samples(*rates: float) -> list[Sample]:
    return [Sample(rate, 50.0, 1.0, 2.0, 0) for rate in rates]


@pytest.mark.parametrize(
    ("own", "code", "verdict"), [((950, 940, 930), 0, "kept"), ((950, 890, 880), 1, "MISSED")], ids=["kept", "missed"]
)
def test_the_median_of_the_shares_is_judged(
    capsys: pytest.CaptureFixture[str], own: tuple[float, ...], code: int, verdict: str
) -> None:
    found = {WITHOUT: samples(1000, 1000, 1000), WITH: samples(990, 980, 970), OWN: samples(*own)}
    assert _tell(found) == code
    assert capsys.readouterr().out.endswith(f"at most a tenth may be lost: {verdict}\n")
