"""dbt's own documentation site as one file that opens without a server and without the internet."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from userops.config import Settings
from userops.errors import BuildError
from userops.warehouse.dbt import run_dbt

#: The page may use what is in it, and nothing else: a browser then asks nobody for anything.
_POLICY = "default-src 'unsafe-inline' 'unsafe-eval' data: blob:"
_ALONE = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'


def build_site(settings: Settings, as_of: date) -> Path:
    """Build the site into USEROPS_HOME/docs_site and return its page.

    Raises:
        BuildError: dbt failed, or wrote no page.
    """
    run_dbt(settings, as_of, command=("parse",))  # uncompiled, the site is made of the manifest that lies there
    run_dbt(settings, as_of, command=("docs", "generate", "--static", "--no-compile"))
    written = settings.paths.dbt_target / "static_index.html"
    if not written.exists():
        raise BuildError(str(written), "no such file", "the page that dbt writes", f"read {settings.paths.dbt_logs}")
    page = settings.paths.docs_site / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    beside = page.with_suffix(".part")
    beside.write_text(only_itself(written), encoding="utf-8")
    beside.replace(page)
    return page


def only_itself(written: Path) -> str:
    """Return the page that dbt wrote, with the rule that nothing is fetched from elsewhere.

    Raises:
        BuildError: it is not a page as dbt writes them.
    """
    before, head, after = written.read_text(encoding="utf-8").partition("<head>")
    if not head:
        raise BuildError(str(written), "a page without <head>", "the page that dbt writes", "check the version of dbt")
    return before + head + _ALONE + after
