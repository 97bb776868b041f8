"""``mainstay prove``: show on the team's own service what is promised of it."""

from __future__ import annotations

import argparse
from typing import Any

from mainstay.cli.arguments import Usage, action_parser
from mainstay.cli.console import Console, table
from mainstay.cli.project import settings_of

_HEADS = ("STEP", "SECONDS", "REQUESTS", "FAILED", "P50 MS", "P99 MS", "MAX MS")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    rollout = action_parser(
        actions, "rollout", "roll this version out under load, beside the old one on one database: nothing may fail"
    )
    rollout.add_argument("--old", default="HEAD", metavar="WHAT", help="a git revision, or the old one's folder (HEAD)")
    rollout.add_argument("--url", default=None, help="of a PostgreSQL or MariaDB database (a SQLite file)")
    rollout.add_argument("--rate", type=float, default=50.0, metavar="N", help="requests a second (50)")
    rollout.add_argument("--seconds", type=float, default=5.0, metavar="N", help="that each step is watched for (5)")
    rollout.add_argument("--seed", type=int, default=1, metavar="N", help="what chooses the requests (1)")


def execute(arguments: Any, console: Console) -> int:
    """Prove, and print what was found; code 1 where the proof does not hold."""
    from mainstay.testing.rollout.proof import Wanted, prove

    for name in ("rate", "seconds"):
        if getattr(arguments, name) <= 0:
            raise Usage(f"mainstay prove rollout: --{name}: expected more than 0")
    wanted = Wanted(
        project=settings_of(arguments, strict=False, secrets=False).root,
        old=arguments.old,
        url=arguments.url,
        rate=arguments.rate,
        seconds=arguments.seconds,
        seed=arguments.seed,
    )
    proof = prove(wanted, lambda step: _tell_step(step, console))
    facts = {**{name: getattr(proof, name) for name in proof.__struct_fields__}, "failed": proof.failed}
    console.facts({**facts, "holds": proof.holds}, lambda: _text(proof))
    return 0 if proof.holds else 1


def _tell_step(step: dict[str, Any], console: Console) -> None:
    """Tell a person what goes on; a program that reads JSON is told facts only."""
    if not console.is_json:
        console.say(f"{step['step']}: {step['requests']} requests, {step['failed']} failed")
        console.flush()


def _text(proof: Any) -> str:
    rows = [
        (
            step["step"],
            *(str(step[name]) for name in ("seconds", "requests", "failed", "p50_ms", "p99_ms", "max_ms")),
        )
        for step in proof.steps
    ]
    lines = ["", f"from {proof.old} to {proof.new}, {proof.rate:g} requests a second", "", table(_HEADS, rows), ""]
    for phase, revisions in proof.migrated.items():
        lines.append(f"{phase}: {', '.join(revisions) or 'nothing to migrate'}")
    if proof.across:
        across = proof.across
        lines.append(
            f"rows read by the other version: {across['old_read_by_new']} of the old one, "
            f"{across['new_read_by_old']} of the new one"
        )
    lines += [f"never had success: {name}" for name in proof.never_done]
    lines += [f"not asked: {name}: {why}" for name, why in sorted(proof.left_out.items())]
    lines += ["", *_faults(proof)]
    return "\n".join(lines)


def _faults(proof: Any) -> list[str]:
    """Return what is wrong, and last of all the verdict."""
    lines = [f"failed ({step['step']}): {example}" for step in proof.steps for example in step["examples"]]
    lines += [f"differs: {text}" for text in proof.drift]
    lines += [f"the log of the {name} version: {text}" for name, texts in proof.errors.items() for text in texts]
    if proof.stopped:
        lines.append(f"stopped: {proof.stopped}")
    if proof.holds:
        return [*lines, "proven: no request failed"]
    if not proof.succeeded:
        lines.append("no call had success: nothing is proven")
    return [*lines, f"not proven: {proof.failed} requests failed"]
