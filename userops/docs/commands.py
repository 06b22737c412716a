"""`userops docs ...`: the dictionary, the lineage picture, dbt's site, and the check of the conventions."""

from __future__ import annotations

import time
from pathlib import Path

import typer
from rich.console import Console

from userops.config import PROJECT_ROOT, load_settings
from userops.docs.conventions import RULES, check_conventions
from userops.docs.pages import check_pages, dictionaries, readmes, write_pages
from userops.docs.project import parse_project
from userops.terminal import AsOf, business_date

docs_app = typer.Typer(name="docs", help="Write and check what the dbt project says of itself.", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False, markup=False)


@docs_app.command()
def check() -> None:
    """Check the conventions of the dbt project, and that the generated pages are up to date; no warehouse is needed."""
    started = time.monotonic()
    project = parse_project()
    findings = check_conventions(project) + check_pages(project)
    for finding in findings:
        _console.print(str(finding))
    summary = f"{len(project.models)} models, {len(RULES)} rules, {time.monotonic() - started:.1f} s"
    if findings:
        _console.print(f"{len(findings)} findings ({summary})")
        raise typer.Exit(1)
    _console.print(f"All conventions are kept and all pages are up to date ({summary})")


@docs_app.command()
def dictionary() -> None:
    """Write docs/data_dictionary.md and docs/data_dictionary.zh-CN.md from the dbt project."""
    _write(dictionaries(parse_project()))


@docs_app.command()
def lineage() -> None:
    """Write the lineage picture into README.md and README.zh-CN.md."""
    _write(readmes(parse_project()))


@docs_app.command()
def site(
    as_of: AsOf = None,
) -> None:
    """Build dbt's documentation site of this instance into USEROPS_HOME/docs_site/index.html, readable offline."""
    from userops.docs.site import build_site
    from userops.steps import writer_lock

    settings = load_settings()
    with writer_lock(settings):
        page = build_site(settings, business_date(as_of, settings))
    _console.print(f"documentation site: {page}")


def _write(pages: dict[Path, str]) -> None:
    changed = write_pages(pages)
    for page in pages:
        state = "written" if page in changed else "up to date"
        _console.print(f"{page.relative_to(PROJECT_ROOT)}: {state}")
