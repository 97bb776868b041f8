"""What the bench makes of its runs: ratios round by round, gates, a table, a picture."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench import picture, report
from bench.measure import Paced, Sample, explain, milliseconds, read
from bench.report import Measured, Results

WRK = """
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
  Latency Distribution
     50%  640.00us
     75%    1.02ms
     90%    1.50ms
     99%    2.91ms
  54421 requests in 2.00s, 8.10MB read
  Non-2xx or 3xx responses: 7
Requests/sec:  27210.50
Transfer/sec:      4.05MB
"""
ABOUT = {
    "processor": "one, 2 cores",
    "system": "Linux",
    "python": "3.11",
    "commit": "abc",
    "when": "today",
    "rounds": 2,
    "seconds": 1.0,
    "rate": 400,
    "contenders": [{"name": "mainstay", "title": "Mainstay", "version": "1", "durable": "10 flushes"}],
    "absent": {"go": "go is missing: apt-get install golang-go"},
}


def measured(rates: list[float], cpu: list[float], paced: float = 400.0) -> Measured:
    samples = [Sample(rate, used, 1.0, 2.0, 0) for rate, used in zip(rates, cpu, strict=True)]
    return Measured(samples, [Paced(paced, 0.5, 1.5, 0)], memory=30.0, memory_all=45.0)


@pytest.fixture
def results() -> Results:
    return {
        "W1": {
            "mainstay": measured([1000, 2000], [10, 20]),
            "fastapi": measured([100, 100], [70, 120], paced=300.0),
            "go": measured([900, 2500], [11, 9]),
        }
    }


def test_what_wrk_says_is_read_with_its_failures() -> None:
    sample = read(WRK, used=1.08828)  # 54,414 were answered with success
    assert sample.rate == pytest.approx(27210.5 * 54414 / 54421)
    assert sample == Sample(sample.rate, cpu=pytest.approx(20.0), p50=0.64, p99=2.91, failures=7)


def test_lost_connections_are_failures() -> None:
    assert read(WRK + "  Socket errors: connect 0, read 3, write 0, timeout 2\n", used=1.0).failures == 12


def test_other_output_of_wrk_is_a_fault_that_shows_it() -> None:
    with pytest.raises(RuntimeError, match="unable to connect"):
        read("unable to connect to 127.0.0.1", used=0.0)


@pytest.mark.parametrize(("text", "expected"), [("850us", 0.85), ("1.2ms", 1.2), ("2s", 2000.0), ("1m", 60000.0)])
def test_durations_of_wrk(text: str, expected: float) -> None:
    assert milliseconds(text) == pytest.approx(expected)


def test_ratios_are_taken_round_by_round(results: Results) -> None:
    assert report.ratios(results, "W1", "fastapi", "cpu") == (6.5, 6.0, 7.0)
    assert report.ratios(results, "W1", "go", "rate") == pytest.approx(((1000 / 900 + 0.8) / 2, 0.8, 1000 / 900))
    assert report.ratios(results, "W1", "mainstay", "cpu") is None


def test_a_gate_is_missed_below_its_bound(results: Results) -> None:
    judged = {line.partition(",")[0]: passed for passed, line in report.gates(results)}
    assert judged == {
        "W1 6.5 times less processor time than FastAPI": True,
        "W1 0.96 times the requests of go": False,
        "memory of a worker 30 MB": True,
    }


def test_the_table_tells_who_is_absent_and_who_did_not_hold_the_rate(results: Results) -> None:
    text = report.table(results, ABOUT)
    assert "- absent: go: go is missing: apt-get install golang-go" in text
    assert [line for line in text.splitlines() if "not held" in line and "FastAPI as its users write it" in line]
    assert "- MISSED: W1 0.96 times the requests of go, gate 1" in text


def test_a_document_is_read_as_it_was_written(results: Results) -> None:
    assert report.read(report.document(results, ABOUT)) == (results, json.loads(json.dumps(ABOUT)))


def test_the_picture_is_xml_and_names_everybody(results: Results) -> None:
    drawn = ElementTree.fromstring(picture.draw(results, ABOUT))
    texts = [one.text or "" for one in drawn.iter() if one.tag.endswith("text")]
    assert {"Mainstay", "FastAPI as its users write it", "Go net/http"} <= set(texts)
    assert any(text.startswith("1,500") for text in texts)


def test_a_contender_that_answered_nothing_has_no_ratio_and_spoils_no_picture(results: Results) -> None:
    results["W1"]["go"] = measured([0, 0], [0, 0])
    assert report.ratios(results, "W1", "go", "rate") is None
    assert "| Go net/http | 0 |" in report.table(results, ABOUT)
    assert "Go net/http" in picture.draw(results, ABOUT)


def test_a_request_of_ours_that_is_turned_away_misses_a_gate(results: Results) -> None:
    results["W1"]["mainstay"].samples[0] = Sample(1000, 10, 1.0, 2.0, failures=3)
    assert (False, "W1 3 requests of ours were not answered with success, gate 0") in list(report.gates(results))


def test_failed_requests_are_told(results: Results) -> None:
    results["W1"]["go"].samples[0] = Sample(900, 11, 1.0, 2.0, failures=3)
    assert "(3 failed)" in report.table(results, ABOUT)


def test_failures_are_explained_by_wrk_and_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"status":201}\n{"status": 503, "code": "overloaded"}\n{"status":201}\n')
    assert explain(WRK, log) == 'Non-2xx or 3xx responses: 7; {"status": 503, "code": "overloaded"}'


@pytest.fixture
def on_postgresql(results: Results) -> Results:
    results = {"W4": results["W1"], "W5": results["W1"]}
    results["W5"]["litestar"] = measured([500, 900], [20, 30])
    for found in results["W5"].values():
        found.samples[:] = [dataclasses.replace(one, store=41.5) for one in found.samples]
    return results


POSTGRES_ABOUT = {**ABOUT, "store": "postgresql", "store_about": "PostgreSQL 15.18, on the core of the load"}


def test_gates_on_postgresql_are_those_of_its_workloads(on_postgresql: Results) -> None:
    judged = {line.partition(",")[0]: passed for passed, line in report.gates(on_postgresql, "postgresql")}
    assert judged == {
        "W5 6.5 times less processor time than FastAPI": False,  # 8 are wanted here
        "W5 2.11 times the requests of litestar": True,
        "W5 0.96 times the requests of go": False,
        "memory of a worker 30 MB": True,
    }


def test_the_table_on_postgresql_tells_what_the_server_used(on_postgresql: Results) -> None:
    text = report.table(on_postgresql, POSTGRES_ABOUT)
    assert text.startswith("# The bench on PostgreSQL\n")
    assert "## W5: 50 rows and a cursor, PostgreSQL" in text
    assert "PostgreSQL 15.18, on the core of the load; each contender" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {10}
    assert "| 41.5 |" in text


def test_the_picture_on_postgresql_names_the_server(on_postgresql: Results) -> None:
    drawn = picture.draw(on_postgresql, POSTGRES_ABOUT)
    assert "one row by its id, PostgreSQL" in drawn
    assert "today; PostgreSQL 15.18, on the core of the load" in drawn


def test_the_table_on_sqlite_has_no_column_for_a_server(results: Results) -> None:
    text = report.table({"W5": results["W1"]}, ABOUT)
    assert text.startswith("# The bench\n")
    assert "## W5: 50 rows and a cursor, SQLite" in text
    assert "own" not in text


def test_what_the_store_used_is_taken_by_request() -> None:
    assert read(WRK, used=1.0, stored=2.17656).store == pytest.approx(40.0)
