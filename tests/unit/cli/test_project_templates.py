"""What `mainstay new` refuses, and that its templates are whole."""

from __future__ import annotations

import ast
import json
import tomllib
from pathlib import Path

import pytest

from mainstay.app.refusal import Refusal
from mainstay.cli.templating import ProjectName, check_target, write_project


@pytest.mark.parametrize(
    "name", ["Bookshop", "9lives", "a b", "../x", "-x", "x-", "a--b", "", "é", "a" * 41, "class", "json", "mainstay"]
)
def test_a_name_that_no_package_can_have_is_refused(name: str) -> None:
    with pytest.raises(Refusal):
        ProjectName(name)


@pytest.mark.parametrize(("name", "package"), [("bookshop", "bookshop"), ("order-desk", "order_desk"), ("a1", "a1")])
def test_a_name_becomes_a_package(name: str, package: str) -> None:
    assert ProjectName(name).package == package


def test_nothing_is_written_over(tmp_path: Path) -> None:
    check_target(tmp_path)
    check_target(tmp_path / "new")
    (tmp_path / "mine").touch()
    with pytest.raises(Refusal, match="not empty"):
        check_target(tmp_path)
    with pytest.raises(Refusal, match="no folder"):
        check_target(tmp_path / "mine")


def test_every_template_is_filled_in_and_parses(tmp_path: Path) -> None:
    written = write_project(ProjectName("order-desk"), tmp_path)
    names = {str(path.relative_to(tmp_path)) for path in written}
    assert {"mainstay.toml", ".gitignore", "README.md", "pyproject.toml", "order_desk/service.py"} <= names
    for path in written:
        text = path.read_text()
        assert "$" not in text
        assert "order" in text.lower() or path.suffix in (".py", "")
        if path.suffix == ".py":
            ast.parse(text)
        elif path.suffix == ".toml":
            tomllib.loads(text)
    assert tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]["name"] == "order-desk"


def test_the_demo_requests_carry_valid_json(tmp_path: Path) -> None:
    write_project(ProjectName("bookshop"), tmp_path)
    requests = tomllib.loads((tmp_path / "mainstay.toml").read_text())["demo"]["requests"]
    bodies = [request.partition("-d '")[2].removesuffix("'") for request in requests if " -d " in request]
    assert [json.loads(body) for body in bodies]
