"""The commands and their options, by the standard library's parser: it is the one that answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn


class Usage(Exception):
    """The command line was wrong; the message says how."""


class Command(NamedTuple):
    """A command: what it is for, in a line, and the module that holds it."""

    summary: str
    module: str


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "new": Command("make a new project", "mainstay.cli.commands.new"),
        "run": Command("serve the service", "mainstay.cli.commands.run"),
        "worker": Command("work on events apart from the API", "mainstay.cli.commands.worker"),
        "routes": Command("list the operations with their routes, policies and limits", "mainstay.cli.commands.routes"),
        "check": Command("check the service's declarations without starting it", "mainstay.cli.commands.check"),
        "doctor": Command("say what is wrong with the set-up, and how to mend it", "mainstay.cli.commands.doctor"),
        "db": Command("plan, migrate, roll back and seed the database", "mainstay.cli.commands.db"),
        "events": Command("look at the messages of consumers, and mend them", "mainstay.cli.commands.events"),
        "policy": Command("say who may do what, and why", "mainstay.cli.commands.policy"),
        "deliver": Command("write what is made of the service for others: contracts", "mainstay.cli.commands.deliver"),
        "prove": Command("show what is promised on this service: a rollout", "mainstay.cli.commands.prove"),
        "accounts": Command("make accounts and look after them", "mainstay.cli.commands.accounts"),
        "keys": Command("list, rotate and retire the keys that tokens are signed with", "mainstay.cli.commands.keys"),
        "privacy": Command(
            "export and erase a person's data, rotate the key of encrypted fields", "mainstay.cli.commands.privacy"
        ),
        "clients": Command("register, list and revoke clients of OAuth", "mainstay.cli.commands.clients"),
        "token": Command("print a token for development", "mainstay.cli.commands.token"),
    }
)

_WITH_VALUE = ("--format", "--profile", "--directory", "-C")


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are an exception, so that they are told in one place."""

    def error(self, message: str) -> NoReturn:
        """Raise ``Usage``."""
        raise Usage(f"{self.prog}: {message}\n  see {self.prog} --help")


def top_parser() -> Parser:
    """Return the parser of what stands without a command."""
    width = max(map(len, COMMANDS)) + 2
    lines = "\n".join(f"  {name:<{width}}{command.summary}" for name, command in COMMANDS.items())
    parser = Parser(
        prog="mainstay",
        usage="mainstay [options] COMMAND [...]",
        description="Run, check and look after a backend service.",
        epilog=f"commands:\n{lines}\n\nmainstay COMMAND --help says more. Exit codes: 0 fine, 1 found wrong, 2 usage.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this and exit")
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    _add_common(parser)
    return parser


def command_parser(name: str) -> Parser:
    """Return the parser of a command, with the options that all commands have."""
    parser = Parser(
        prog=f"mainstay {name}",
        description=COMMANDS[name].summary.capitalize() + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_common(parser.add_argument_group("options of every command"))
    return parser


def action_parser(actions: Any, name: str, summary: str) -> Parser:
    """Return the parser of an action of a command: what all commands have may stand behind it as well."""
    parser: Parser = actions.add_parser(
        name,
        help=summary,
        description=summary.capitalize() + ".",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    _add_common(parser.add_argument_group("options of every command"), repeated=True)
    return parser


def _add_common(group: Any, *, repeated: bool = False) -> None:
    """Add the options that all commands have; where they are ``repeated``, what was given before stays."""
    unset: dict[str, Any] = {"default": argparse.SUPPRESS} if repeated else {}
    form = unset or {"default": "text"}
    group.add_argument("--format", choices=("text", "json"), help="how facts are printed", **form)
    group.add_argument("--profile", help="development, test or production (MAINSTAY_PROFILE; production)", **unset)
    group.add_argument("-C", "--directory", type=Path, metavar="DIR", help="the project's folder (here)", **unset)
    group.add_argument("--debug", action="store_true", help="show the traceback of an unexpected error", **unset)


def find_command(argv: Sequence[str]) -> int | None:
    """Return the place of the first word that is neither an option nor an option's value."""
    words = iter(enumerate(argv))
    for place, word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return place
    return None


def closest_command(name: str) -> str | None:
    """Return the command that was probably meant."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, COMMANDS, n=1, cutoff=0.5)), None)
