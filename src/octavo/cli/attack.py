"""octavo attack: try on this machine, with these settings, what a hostile model would try."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import add_settings_options
from octavo.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from octavo.trial.attack import Case, Verdict

DESCRIPTION = """\
Try on this machine, with your settings and rules, what a hostile model would try: a script that
always takes the bait speaks for the model. It happens in a throw-away home, to throw-away files;
no key, no tokens and no network are needed. Exits with 1 when something escapes.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `octavo attack`."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add("--only", metavar="IDS", help="these attacks alone: A-14,A-15")
    add(
        "--prove",
        action="store_true",
        help="run each case once more with the wall that stops it taken down",
    )
    add("--json", action="store_true", help="print one JSON object")
    add("--list", action="store_true", help="run nothing and list the cases")
    add("--all", action="store_true", help="run nothing and list all attacks that are known")
    add_settings_options(parser)


def run(args: Namespace) -> int:
    """Attack, and return 1 when something has to be mended."""
    from octavo.trial.attack import report
    from octavo.trial.attack.suite import CASES

    cases = _chosen(args.only, CASES)
    if args.list or args.all:
        for line in report.catalogue(CASES) if args.all else report.listing(cases):
            print(line)
        return 0
    return _attack(args, cases)


def _attack(args: Namespace, cases: Sequence[Case]) -> int:
    import anyio

    from octavo.trial.attack import report
    from octavo.trial.attack.engine import Attack, attack

    asked = Attack(
        env=dict(os.environ),
        cases=cases,
        profile=args.profile,
        overrides=args.config,
        prove=args.prove,
    )
    done = 0

    def tell(verdict: Verdict) -> None:
        nonlocal done
        done += 1
        if not args.json and sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{done}/{len(cases)} {verdict.attack}")
            sys.stderr.flush()

    ran = anyio.run(attack, asked, tell)
    if done and not args.json and sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    if args.json:
        print(report.as_json(ran).decode())
    else:
        for verdict in ran.verdicts:
            print(report.line(verdict))
        print()
        for line in report.summary(ran):
            print(line)
    return 1 if any(verdict.is_bad for verdict in ran.verdicts) else 0


def _chosen(only: str | None, cases: Sequence[Case]) -> Sequence[Case]:
    """Return the cases of the attacks that are named.

    Raises:
        UsageError: there is no such attack, or it is not in the suite yet.
    """
    if only is None:
        return cases
    from octavo.trial.attack import catalog

    known = {attack.id: attack for attack in catalog.ATTACKS}
    ids = [_id(word) for word in only.split(",") if word.strip()]
    for name in ids:
        if name not in known:
            raise UsageError(
                f"There is no attack {name!r}.", hint="`octavo attack --all` lists them."
            )
        if known[name].joins:
            raise UsageError(f"{name} joins with {known[name].joins}, which octavo does not have.")
    return [case for case in cases if case.attack in ids]


def _id(word: str) -> str:
    """Return the id that is meant: A-07, a-7 and 7 are the same."""
    number = word.strip().upper().removeprefix("A").removeprefix("-")
    return f"A-{int(number):02}" if number.isdecimal() else word.strip()
