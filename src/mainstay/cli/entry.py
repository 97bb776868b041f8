"""From the arguments to a command, and from whatever it raises to plain words and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from mainstay.cli.arguments import COMMANDS, Usage, closest_command, command_parser, find_command, top_parser
from mainstay.cli.console import Console

FINE, WRONG, USAGE, INTERRUPTED = 0, 1, 2, 130


def run(argv: Sequence[str]) -> int:
    """Carry out one command line."""
    try:
        return _run(argv)
    except Usage as usage:
        sys.stderr.write(f"{usage}\n")
        return USAGE
    except BrokenPipeError:
        _detach_stdout()
        return FINE
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: Sequence[str]) -> int:
    place = find_command(argv)
    if place is None:
        parser = top_parser()
        arguments, rest = parser.parse_known_args(list(argv))
        if arguments.help or not (argv or rest):
            sys.stdout.write(parser.format_help())
            return FINE
        if arguments.version:
            return _version()
        raise Usage(f"mainstay: unknown option {rest[0]}" if rest else "mainstay: give a command; see mainstay --help")
    name = argv[place]
    if name not in COMMANDS:
        guess = closest_command(name)
        raise Usage(
            f"mainstay: there is no command {name!r}" + (f"; did you mean {guess}?" if guess else "; see --help")
        )
    module = importlib.import_module(COMMANDS[name].module)
    parser = command_parser(name)
    module.configure(parser)
    arguments = parser.parse_args([*argv[:place], *argv[place + 1 :]])
    console = Console(form=arguments.format, debug=arguments.debug)
    return _guarded(module, arguments, console)


def _guarded(module: Any, arguments: Any, console: Console) -> int:
    try:
        code: int = module.execute(arguments, console)
    except (BrokenPipeError, KeyboardInterrupt, Usage):
        raise
    except Exception as error:
        from mainstay.app.complaint import text

        complaint = text(error)
        if complaint is not None:
            sys.stderr.write(complaint)
        elif console.debug:
            raise
        else:
            kind = type(error).__name__
            console.complain(f"this is a fault of mainstay or of the service's code: {kind}: {error}")
            console.complain("run it again with --debug to see where")
        return WRONG
    console.flush()
    return code


def _version() -> int:
    from importlib.metadata import version

    sys.stdout.write(f"mainstay {version('mainstay')}, Python {sys.version.split()[0]}\n")
    return FINE


def _detach_stdout() -> None:
    """Whoever read the output has left: let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
