"""The generated pages of the repository: which there are, what they should hold, and whether they still do."""

from __future__ import annotations

from pathlib import Path

from userops.config import PROJECT_ROOT
from userops.docs.conventions import Finding
from userops.docs.dictionary import dictionary_page, read_glossary
from userops.docs.lineage import lineage_diagram
from userops.docs.project import Project
from userops.errors import ConfigError

_START = "<!-- lineage: written by `userops docs lineage` -->"
_END = "<!-- lineage: end -->"
_DICTIONARIES = {"docs/data_dictionary.md": False, "docs/data_dictionary.zh-CN.md": True}
_READMES = ("README.md", "README.zh-CN.md")


def dictionaries(project: Project, root: Path = PROJECT_ROOT) -> dict[Path, str]:
    """Return the text that each dictionary page should hold."""
    glossary = read_glossary((root / "docs" / "glossary.md").read_text(encoding="utf-8"))
    return {root / name: dictionary_page(project, glossary, chinese) for name, chinese in _DICTIONARIES.items()}


def readmes(project: Project, root: Path = PROJECT_ROOT) -> dict[Path, str]:
    """Return the text that each README should hold: what it holds now, with the picture of now.

    Raises:
        ConfigError: a README has no place for the picture.
    """
    picture = f"{_START}\n```mermaid\n{lineage_diagram(project)}\n```\n{_END}"
    pages = {}
    for name in _READMES:
        text = (root / name).read_text(encoding="utf-8")
        before, start, rest = text.partition(_START)
        _, end, after = rest.partition(_END)
        if not start or not end:
            raise ConfigError(
                name, "no place for the lineage picture", f"the lines {_START} and {_END}", "put them back"
            )
        pages[root / name] = before + picture + after
    return pages


def write_pages(pages: dict[Path, str]) -> list[Path]:
    """Write the pages that differ, and return them."""
    changed = [page for page, text in pages.items() if _present(page) != text]
    for page in changed:
        page.write_text(pages[page], encoding="utf-8")
    return changed


def check_pages(project: Project, root: Path = PROJECT_ROOT) -> list[Finding]:
    """Return the pages that no longer say what the project says."""
    wanted = [("dictionary", dictionaries(project, root)), ("lineage", readmes(project, root))]
    return [
        Finding("page", str(page.relative_to(root)), "it is out of date", f"run `userops docs {command}`")
        for command, pages in wanted
        for page, text in pages.items()
        if _present(page) != text
    ]


def _present(page: Path) -> str | None:
    return page.read_text(encoding="utf-8") if page.exists() else None
