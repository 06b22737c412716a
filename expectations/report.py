"""Results of the gates: JSON for programs, HTML pages for people.

`quality/<gate>/as_of=YYYY-MM-DD/{result.json,index.html}`, and `quality/index.html`, the list of all runs.

The pages are our own Jinja templates: the Data Docs of Great Expectations load their styles and scripts from five
content-delivery networks and so show nothing readable on a machine without internet; these hold all they need.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from expectations.results import GateResult
from userops.config import Settings

GATE_TITLES = {
    "lake": ("Gate before the lake", "入湖前质量检查"),
    "marts": ("Gate before publishing", "发布前质量检查"),
}
_RUNS_SHOWN = 200


def write_report(settings: Settings, result: GateResult) -> Path:
    """Write the result of one gate and renew the list of runs; return the HTML page."""
    folder = settings.paths.quality / result.gate / f"as_of={result.as_of.isoformat()}"
    folder.mkdir(parents=True, exist_ok=True)
    content = result.as_dict()
    title_en, title_zh = GATE_TITLES[result.gate]
    page = folder / "index.html"
    _write(folder / "result.json", json.dumps(content, ensure_ascii=False, indent=1, default=str) + "\n")
    _write(
        page,
        _templates()
        .get_template("gate.html.j2")
        .render(result=result, title_en=title_en, title_zh=title_zh, instance=settings.project.name),
    )
    _write(
        settings.paths.quality / "index.html",
        _templates()
        .get_template("runs.html.j2")
        .render(runs=_runs(settings.paths.quality), titles=GATE_TITLES, instance=settings.project.name),
    )
    return page


def _runs(quality: Path) -> list[dict[str, Any]]:
    """Return the newest runs: what their result.json says, without the suites."""
    files = sorted(
        quality.glob("*/as_of=*/result.json"), key=lambda file: (file.parent.name, file.parts[-3]), reverse=True
    )
    runs = []
    for file in files[:_RUNS_SHOWN]:
        content = json.loads(file.read_text(encoding="utf-8"))
        suites = content.pop("suites")
        rows = sum(suite["rows"] for suite in suites)
        page = file.with_name("index.html").relative_to(quality).as_posix()
        runs.append({**content, "suite_count": len(suites), "rows": rows, "page": page})
    return runs


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _write(path: Path, text: str) -> None:
    """Replace the file in one step: whoever looks sees the old page or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
