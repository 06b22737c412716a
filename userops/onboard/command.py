"""`userops onboard` and `userops check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from userops.config import Settings, load_settings
from userops.errors import ConfigError
from userops.ingest.sources import load_preset, load_source, preset_names
from userops.onboard.taxonomy import known_events

if TYPE_CHECKING:
    from userops.onboard.propose import Proposal

console = Console()


def onboard_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Exported files, of one or several systems; any size.", metavar="FILE..."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Name of the source; else made of the files' names.")
    ] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", help="What the rows are, where the guess is wrong: events, orders, ...")
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Start from a preset; see --list-presets.")] = None,
    write: Annotated[bool, typer.Option("--write/--no-write", help="Write the YAML, or only print it.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a source YAML of the same name.")] = False,
    list_presets: Annotated[bool, typer.Option("--list-presets", help="List the presets and stop.")] = False,
) -> None:
    """Look at exported files and propose their source YAML. 查看导出文件并生成数据源 YAML 草稿。"""
    if list_presets:
        _print_presets()
        return
    if not files:
        raise typer.BadParameter("at least one file", param_hint="FILE...")
    # Here, because the libraries that read all kinds of files would slow down every other command.
    from userops.onboard.propose import Wishes, propose_sources
    from userops.onboard.render import print_proposal, source_yaml

    settings = load_settings()
    with console.status("looking at the files"):
        proposals = propose_sources(files, settings, Wishes(source, entity, preset))
    if write and not force:
        _refuse_overwriting(proposals, settings)
    for proposal in proposals:
        print_proposal(proposal, console)
        text = source_yaml(proposal)
        if write:
            _write_source(proposal, text, settings)
        else:
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        _say_next(proposal, settings, write)
    _propose_taxonomy(proposals, settings, write)


def check_command(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    file: Annotated[
        str | None, typer.Option("--file", help="File to look at, as listed; the newest one when left out.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="About how many records to look at.")] = 10_000,
) -> None:
    """Show on a sample what a source would load, quarantine and filter; nothing is written. 试读样本，不写入数据。"""
    from userops.onboard.check import check_source

    check_source(load_settings(), source, file, rows, console)


def _print_presets() -> None:
    table = Table(title="Presets")
    for heading in ("preset", "entity", "what it reads"):
        table.add_column(heading, overflow="fold")
    for name in preset_names():
        table.add_row(name, str(load_preset(name)["entity"]), _headline(name))
    console.print(table, markup=False)


def _headline(preset: str) -> str:
    from importlib.resources import files

    text = files("userops.ingest").joinpath("presets", f"{preset}.yml").read_text(encoding="utf-8")
    return text.splitlines()[0].removeprefix("# ")


def _refuse_overwriting(proposals: list[Proposal], settings: Settings) -> None:
    """Before anything is written.

    Raises:
        ConfigError: a source of one of the names is there already.
    """
    for proposal in proposals:
        target = settings.paths.sources / f"{proposal.source}.yml"
        if target.exists():
            raise ConfigError(
                str(target), "a source of that name", "no file in the way",
                "give another name with --source, or overwrite it with --force",
            )  # fmt: skip


def _write_source(proposal: Proposal, text: str, settings: Settings) -> None:
    """Write the YAML after reading it back as ingest will."""
    target = settings.paths.sources / f"{proposal.source}.yml"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".yml.draft")
    draft.write_text(text, encoding="utf-8")
    try:
        load_source(draft, settings)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    console.print(f"Written: {target}", markup=False, highlight=False, soft_wrap=True)


def _say_next(proposal: Proposal, settings: Settings, written: bool) -> None:
    from userops.onboard.render import where_to_put

    steps = [where_to_put(proposal, settings.paths.landing)]
    if written and proposal.checks:
        steps.append(f"Settle the lines marked CHECK in {settings.paths.sources / (proposal.source + '.yml')}")
    if proposal.companions:
        names = " and ".join(proposal.companions)
        steps.append(f"The same files also feed {names}: onboard them again with --preset")
    if written:
        steps.append(f"See what would be loaded: userops check {proposal.source}")
    console.print("Next:", style="bold")
    for step in filter(None, steps):
        console.print(f"  - {step}", markup=False, highlight=False, soft_wrap=True)


def _propose_taxonomy(proposals: list[Proposal], settings: Settings, write: bool) -> None:
    from userops.onboard.render import taxonomy_lines

    text = taxonomy_lines(proposals, known_events(settings.paths.taxonomy_file))
    if not text:
        return
    target = settings.paths.taxonomy_file.with_suffix(".proposed.csv")
    count = len(text.splitlines()) - 1
    if write:
        target.write_text(text, encoding="utf-8")
        console.print(
            f"{count} events are new to the taxonomy; lines for {settings.paths.taxonomy_file.name} are in {target}. "
            "Events that are not listed count as activity.",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    else:
        console.print("Lines for event_taxonomy.csv:", style="bold")
        console.print(text, markup=False, highlight=False, soft_wrap=True)
