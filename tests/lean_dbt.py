"""dbt in the process of the tests, without what it does again in every run: most of a small run is not SQL.

Nothing that a test looks at changes: templates are compiled from the same text, the graph is that of the same manifest,
macros are found in the same order, and only events are left untold that nobody listens to. A run takes a quarter less.
The pieces of dbt that are replaced are named at the end; where a new version has one no longer, the import fails.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

import networkx
from dbt.clients.jinja import MacroGenerator
from dbt.compilation import Compiler
from dbt.context.macros import MacroNamespace, MacroNamespaceBuilder
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import Macro
from dbt.graph import Graph
from dbt.tracking import track_behavior_change_warn
from dbt_common.clients.jinja import MacroFuzzEnvironment
from dbt_common.events.base_types import BaseEvent, EventLevel
from dbt_common.events.event_manager import EventManager
from dbt_common.tests import enable_test_caching


def _replace(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    setattr(owner, name, make(getattr(owner, name)))


def _compile_once(compile_template: Any) -> Any:
    """A model's text is compiled to the same code whenever it is built again."""
    compiled: dict[tuple[type, str], CodeType] = {}

    def compile_or_recall(self: MacroFuzzEnvironment, source: str, *args: Any, **kwargs: Any) -> CodeType:
        if args or kwargs:
            return compile_template(self, source, *args, **kwargs)
        if (type(self), source) not in compiled:
            compiled[type(self), source] = compile_template(self, source)
        return compiled[type(self), source]

    return compile_or_recall


def _link_once(link: Any) -> Any:
    """A manifest has one graph, or one for `build`, where tests stand between models."""
    linked: dict[tuple[int, bool], tuple[Manifest, networkx.DiGraph]] = {}  # holds on to the manifest: ids come again

    def link_or_recall(self: Compiler, manifest: Manifest, write: bool = True, add_test_edges: bool = False) -> Graph:
        key = (id(manifest), add_test_edges)
        if key not in linked:
            linked[key] = (manifest, link(self, manifest, write, add_test_edges).graph)
        self.initialize()
        return Graph(linked[key][1])

    return link_or_recall


def _say_nothing_unheard(fire: Any) -> Any:
    """Warnings and errors are told always: they may have to stop the run."""

    def fire_or_not(
        self: EventManager, e: BaseEvent, level: EventLevel | None = None, *args: Any, **kwargs: Any
    ) -> None:
        heard = self.loggers or self.callbacks not in ([], [track_behavior_change_warn])
        if heard or (level or e.level_tag()) in (EventLevel.WARN, EventLevel.ERROR):
            fire(self, e, level, *args, **kwargs)

    return fire_or_not


def _write_when_read(write: Any) -> Any:
    """An event becomes a message when somebody asks for it."""

    def keep(self: BaseEvent, *args: Any, **kwargs: Any) -> None:
        self.__dict__["_told"] = (args, kwargs)

    def write_and_get(self: BaseEvent, name: str) -> Any:
        if name == "pb_msg":
            args, kwargs = self.__dict__["_told"]
            write(self, *args, **kwargs)
            return self.__dict__["pb_msg"]
        return getattr(self.pb_msg, name)

    def write_and_set(self: BaseEvent, name: str, value: Any) -> None:
        if name == "pb_msg":
            self.__dict__[name] = value
        else:
            setattr(self.pb_msg, name, value)

    _replace(BaseEvent, "__getattr__", lambda _: write_and_get)
    _replace(BaseEvent, "__setattr__", lambda _: write_and_set)
    return keep


def _search_once(search: Any) -> Any:
    """Macros are found in the same order, looked for in one dictionary."""

    def find(self: MacroNamespace, name: str) -> Any:
        found = self.__dict__.get("_found")
        if found is None:
            found = self.__dict__["_found"] = {}
            for names in reversed([*self._search_order()]):
                found.update(names)
        return found[name]

    return find


def _name_at_once(_: Any) -> Any:
    """The macros of a package are told apart by their names already: they need not be added one by one."""

    def build(
        self: MacroNamespaceBuilder, macros_by_package: dict[str, dict[str, Macro]], ctx: dict[str, Any]
    ) -> MacroNamespace:
        for package, macros in macros_by_package.items():
            own = {name: MacroGenerator(macro, ctx, self.node, self.thread_ctx) for name, macro in macros.items()}
            if package in self.internal_package_names:
                self.internal_packages[package] = own
                continue
            self.packages[package] = own
            if package == self.search_package:
                self.locals = own
            elif package == self.root_package:
                self.globals = own
        internal: dict[str, MacroGenerator] = {}
        for package in reversed(self.internal_package_names_order):
            internal.update(self.internal_packages.get(package, {}))
        return MacroNamespace(self.globals, self.locals, internal, self.packages)

    return build


enable_test_caching()
_replace(MacroFuzzEnvironment, "compile", _compile_once)
_replace(Compiler, "compile", _link_once)
_replace(EventManager, "fire_event", _say_nothing_unheard)
_replace(BaseEvent, "__init__", _write_when_read)
_replace(MacroNamespace, "__getitem__", _search_once)
_replace(MacroNamespaceBuilder, "build_namespace", _name_at_once)
