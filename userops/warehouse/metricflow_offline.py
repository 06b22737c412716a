"""MetricFlow's command line without its look at a package index for newer versions: nothing leaves the machine.

MetricFlow has no switch for that, so the look itself is replaced before its command line is loaded.
"""

from __future__ import annotations

from importlib import import_module


def _no_news(*_: object, **__: object) -> None:
    """Say that there is no newer version, without asking anybody."""


def main() -> None:
    """Run `mf` with the arguments of this process."""
    import_module("update_checker").UpdateChecker.check = _no_news
    from dbt_metricflow.cli.main import cli

    cli(prog_name="userops metrics")


if __name__ == "__main__":
    main()
