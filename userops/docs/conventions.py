"""The conventions of the dbt project, each a rule that names the file, what is wrong there and what to do.

Layers (`userops docs check` holds the project to it):

```
sources, seeds -> staging -> intermediate <-> marts -> exports
```
* Only staging reads sources. A model elsewhere that has to says why, in `meta: {reads_source: ...}`.
* Staging reads sources, seeds and other staging models.
* Intermediate models and marts may read staging, intermediate models and marts: the core marts (sessions, active days,
  orders, users) are what most else is computed from. What is made to be looked at (`agg_...` and lists) is nobody's
  input but other marts' and exports'.
* Exports read marts only.
* A model never reads one of a later layer of the daily run (base, then churn features, then lists).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from userops.docs.bilingual import Bilingual
from userops.docs.project import Model, Project

_NAMES = {
    "staging": re.compile(r"stg_[a-z0-9_]+"),
    "intermediate": re.compile(r"int_[a-z0-9_]+"),
    "marts": re.compile(r"(fct|dim|agg)_[a-z0-9_]+|[a-z0-9_]+_list"),
    "exports": re.compile(r"export_[a-z0-9_]+"),
}
_MAY_READ = {
    "staging": {"staging"},
    "intermediate": {"staging", "intermediate", "marts"},
    "marts": {"staging", "intermediate", "marts"},
    "exports": {"marts"},
}
#: Tags of models that are built after the base, in the order of the daily run.
_LATER_RUNS = {"churn": 1, "after_scores": 2}
_LOOKED_AT = re.compile(r"agg_.*|.*_list")
_HOOKS = {
    "touched_dates": ("log_rebuilt_dates", "save_watermarks"),
    "touched_users": ("log_rebuilt_keys", "save_watermarks"),
    "touched_orders": ("log_rebuilt_keys", "save_watermarks"),
    "corrected_counts": ("log_rebuilt_keys", "save_watermarks"),
}
#: Words that other engines spell differently or lack. They belong in a dispatched macro `duckdb__...`.
_ONLY_DUCKDB = re.compile(
    r"\b(arg_min|arg_max|unnest|generate_series|date_diff|date_sub|date_add|datepart|isodow|epoch(?:_ms|_us)?|to_seconds"
    r"|to_days|strftime|strptime|list_[a-z_]+|array_agg|struct_pack|struct_extract|read_parquet|read_csv"
    r"|regexp_matches|string_split|len|median|quantile_cont|quantile_disc|approx_quantile|histogram|hash)\s*\("
    r"|\b(asof|qualify|pivot|unpivot|positional|semi\s+join|anti\s+join)\b|::|\b(group|order)\s+by\s+all\b"
    r"|\*\s+(exclude|replace)\b",
    re.IGNORECASE,
)
#: What gives another result when the same data is read again.
_NOT_REPEATABLE = re.compile(
    r"\b(any_value|arbitrary|first|last|random|rand|uuid|gen_random_uuid|now|today|get_current_timestamp)\s*\("
    r"|\b(current_date|current_timestamp|localtimestamp)\b",
    re.IGNORECASE,
)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.DOTALL)
_TEXTS = re.compile(r"'(?:[^']|'')*'")
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """One broken convention.

    Attributes:
        rule: short name of the rule.
        file: where, relative to the project's root.
        found: what is wrong there.
        fix: what to do, as an instruction.
    """

    rule: str
    file: str
    found: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: [{self.rule}] {self.found}; {self.fix}"


def check_conventions(project: Project) -> list[Finding]:
    """Return everything in the project that breaks a convention, by file."""
    findings = [finding for rule in RULES for finding in rule(project)]
    return sorted(findings, key=lambda finding: (finding.file, finding.rule, finding.found))


def names_tell_the_layer(project: Project) -> Iterator[Finding]:
    """Models are called stg_, int_, fct_, dim_, agg_, ..._list or export_, by their folder."""
    for model in project.models.values():
        pattern = _NAMES.get(model.layer)
        if pattern is None:
            yield _of(model, "layer-folder", f"it lies in folder `{model.layer}`", f"move it below {_folders()}")
        elif not pattern.fullmatch(model.name):
            yield _of(
                model, "name", f"`{model.name}` in folder `{model.layer}`",
                f"give it a name like {pattern.pattern.replace('[a-z0-9_]+', '...')}",
            )  # fmt: skip
        if model.layer == "marts" and model.path.count("/") != 3:
            yield _of(model, "domain-folder", "it lies in no domain's folder", "move it to models/marts/<domain>/")


def layers_are_kept(project: Project) -> Iterator[Finding]:
    """A layer reads the layers before it, see the module's docstring."""
    for model in project.models.values():
        if model.sources and model.layer != "staging" and not model.meta.get("reads_source"):
            yield _of(
                model, "layer-source", f"it reads source {', '.join(model.sources)}",
                "read the staging model, or say in `config: meta: reads_source:` why that cannot be",
            )  # fmt: skip
        for name in model.models:
            needed = project.models.get(name)
            if needed is None:
                continue
            if needed.layer not in _MAY_READ.get(model.layer, set()):
                yield _of(
                    model, "layer", f"{model.layer} reads {needed.layer} ({name})",
                    f"{model.layer} may read {', '.join(sorted(_MAY_READ.get(model.layer, set()))) or 'nothing'}",
                )  # fmt: skip
            elif model.layer == "intermediate" and needed.layer == "marts" and _LOOKED_AT.fullmatch(name):
                yield _of(
                    model, "layer-aggregate", f"it reads {name}, which is made to be looked at",
                    "read what that is made from",
                )  # fmt: skip
            if _run(needed) > _run(model):
                yield _of(
                    model, "run-layer", f"it reads {name}, which a later layer of the daily run builds",
                    f"tag it like {name} ({', '.join(needed.tags)}), or read something earlier",
                )  # fmt: skip


def every_model_has_its_own_yaml(project: Project) -> Iterator[Finding]:
    """`x.yml` lies beside `x.sql`."""
    for model in project.models.values():
        wanted = model.path.removesuffix(".sql") + ".yml"
        if model.patch_path != wanted:
            found = f"it is described in {model.patch_path}" if model.patch_path else "nothing describes it"
            yield _of(model, "own-yaml", found, f"describe it in dbt_project/{wanted}")


def grain_comes_first(project: Project) -> Iterator[Finding]:
    """A description begins with the grain."""
    for model in project.models.values():
        if not model.text.startswith("One row per "):
            yield _of(
                model, "grain", f"its description begins with {model.text[:30]!r}",
                "begin it with `One row per ...`",
            )  # fmt: skip


def everything_is_described_in_both_languages(project: Project) -> Iterator[Finding]:
    """Models, columns, sources, seeds, metrics, dimensions, measures, exposures and groups: English, then 中文."""
    for model in project.models.values():
        file = model.patch_path or model.path
        yield from _languages(file, model.name, model.description)
        if not model.columns:
            yield Finding("columns", _file(file), f"{model.name} has no columns", "list and describe its columns")
        for column in model.columns:
            yield from _languages(file, f"{model.name}.{column.name}", column.description)
    for item in project.described:
        yield from _languages(item.path, f"{item.kind} {item.name}", item.description)


def marts_tell_their_grain_in_chinese(project: Project) -> Iterator[Finding]:
    """Behind the Chinese term of a mart stand its grain and what it is for."""
    for model in project.of_layer("marts", "exports"):
        said = model.description
        if said.zh and "一行" not in said.definition_zh:
            yield Finding(
                "grain-zh", _file(model.patch_path or model.path), f"the Chinese of {model.name} tells no grain",
                "end its description with the term and the grain, as in `会话。每次会话一行……`",
            )  # fmt: skip


def published_words_stand_alone(project: Project) -> Iterator[Finding]:
    """What readers of the marts are told names no model that they cannot open."""
    hidden = {model.name for model in project.of_layer("staging", "intermediate")}
    published = project.of_layer("marts", "exports")
    said = [(model.patch_path or model.path, model.name, model.text) for model in published]
    said += [
        (model.patch_path or model.path, f"{model.name}.{column.name}", column.text)
        for model in published
        for column in model.columns
    ]
    said += [(item.path, f"{item.kind} {item.name}", item.text) for item in project.of_kind("metric")]
    for path, what, text in said:
        for name in sorted(hidden & set(re.findall(r"\w+", text, re.ASCII))):
            yield Finding(
                "hidden-model", _file(path), f"the description of {what} refers to {name}, which is not published",
                "say there what readers are to know",
            )  # fmt: skip


def every_model_belongs_to_a_group(project: Project) -> Iterator[Finding]:
    """Somebody answers for each model."""
    for model in project.models.values():
        if not model.group:
            yield _of(
                model, "group", f"{model.name} belongs to no group",
                "give its folder a `+group` in dbt_project.yml (groups are in models/_groups.yml)",
            )  # fmt: skip


def marts_are_a_contract(project: Project) -> Iterator[Finding]:
    """Marts and exports have an enforced contract, typed columns and a test of their key."""
    for model in project.of_layer("marts", "exports"):
        if not model.contract:
            yield _of(model, "contract", "its contract is not enforced", "set `contract: {enforced: true}`")
        untyped = [column.name for column in model.columns if not column.data_type]
        if untyped:
            yield _of(model, "data-type", f"no data_type for {', '.join(untyped)}", "give each its data_type")
        if not model.has_key_test:
            yield _of(model, "key", "no test says what a row is", "test its key with `unique` or `unique_combination`")


def the_last_select_names_its_columns(project: Project) -> Iterator[Finding]:
    """A reader sees in the last select which columns a mart has, and nothing slips in."""
    for model in project.of_layer("marts", "exports"):
        starred = [line for line in _last_select(model.sql) if re.fullmatch(r"(\w+\.)?\*,?", line)]
        if starred:
            yield _of(model, "select-star", f"the last select has `{starred[0]}`", "name its columns")


def incremental_models_remember(project: Project) -> Iterator[Finding]:
    """Models that rebuild what was touched log it before, and save what they took in after."""
    for model in project.models.values():
        for hook in _HOOKS.get(model.strategy, ()):
            if hook not in model.hooks:
                yield _of(
                    model, "hooks", f"strategy {model.strategy} without the hook {hook}()",
                    "add it to the config, see fct_sessions.sql",
                )  # fmt: skip


def sql_is_portable(project: Project) -> Iterator[Finding]:
    """What only DuckDB understands stands in a macro `duckdb__...` with a `default__...` beside it."""
    for file, sql in _portable_sql(project):
        for word in _words(_ONLY_DUCKDB, sql):
            yield Finding(
                "portable", file, f"`{word}` is not understood everywhere",
                "use or write a dispatched macro in macros/portable",
            )  # fmt: skip


def sql_is_repeatable(project: Project) -> Iterator[Finding]:
    """The same data gives the same rows: no clock, no chance, no row picked without an order."""
    for file, sql in _portable_sql(project):
        for word in _words(_NOT_REPEATABLE, sql):
            yield Finding(
                "repeatable", file, f"`{word}` may give another result the next time",
                "use as_of(), min()/max(), or a window with a total order",
            )  # fmt: skip


RULES: tuple[Callable[[Project], Iterator[Finding]], ...] = (
    names_tell_the_layer,
    layers_are_kept,
    every_model_has_its_own_yaml,
    grain_comes_first,
    everything_is_described_in_both_languages,
    marts_tell_their_grain_in_chinese,
    published_words_stand_alone,
    every_model_belongs_to_a_group,
    marts_are_a_contract,
    the_last_select_names_its_columns,
    incremental_models_remember,
    sql_is_portable,
    sql_is_repeatable,
)


def _of(model: Model, rule: str, found: str, fix: str) -> Finding:
    return Finding(rule, _file(model.path), found, fix)


def _file(path: str) -> str:
    return f"dbt_project/{path}"


def _folders() -> str:
    return ", ".join(f"models/{layer}" for layer in _NAMES)


def _run(model: Model) -> int:
    return max((_LATER_RUNS.get(tag, 0) for tag in model.tags), default=0)


def _languages(path: str, what: str, description: Bilingual) -> Iterator[Finding]:
    missing = [name for name, text in (("English", description.en), ("中文", description.zh)) if not text]
    if missing:
        yield Finding(
            "described", _file(path), f"{what} has no {' and no '.join(missing)}",
            "describe it: English sentences, then the Chinese term and, behind a full stop, its definition",
        )  # fmt: skip


def _portable_sql(project: Project) -> Iterator[tuple[str, str]]:
    """Yield file and SQL of all models, singular tests and macros that every engine has to understand."""
    for model in project.models.values():
        yield _file(model.path), model.sql
    for path, sql in project.tests_sql.items():
        yield _file(path), sql
    for macro in project.macros:
        if not macro.name.startswith("default__") and not macro.name.startswith("duckdb__"):
            yield _file(macro.path), macro.sql


def _words(pattern: re.Pattern[str], sql: str) -> list[str]:
    """Return what of `pattern` stands in the SQL itself: not in comments, texts or calls of macros."""
    code = _TEXTS.sub("''", _JINJA.sub(" ", _COMMENTS.sub(" ", sql)))
    return list(dict.fromkeys(" ".join(match.group().split()) for match in pattern.finditer(code)))


def _last_select(sql: str) -> list[str]:
    """Return the lines of the column list of the outermost, last select."""
    lines = _COMMENTS.sub("", sql).splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"select\b", line)]
    if not starts:
        return []
    first, *rest = lines[starts[-1] :]
    columns = [first.removeprefix("select").strip()]
    for line in rest:
        if re.match(r"from\b", line):
            break
        columns.append(line.strip())
    return [line for line in columns if line]
