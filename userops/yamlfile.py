"""YAML files into pydantic models, with errors that name file, line, key, value and a fix."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from userops.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
Key = tuple[int | str, ...]


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in `path`; an empty file is an empty mapping.

    Raises:
        ConfigError: the file is missing, is not YAML, repeats a key, or is not a mapping.
    """
    document = _load(path)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(
            str(path), f"a {type(document).__name__}", "a mapping of keys to values", "write it as `key: value` lines"
        )
    return document


def load_model(path: Path, model: type[M]) -> M:
    """Validate the YAML file `path` against `model`.

    Raises:
        ConfigError: one error that lists every wrong key with its line.
    """
    document = read_mapping(path)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise config_error(error, path, model, document) from None


def config_error(
    error: ValidationError,
    path: Path,
    model: type[BaseModel],
    document: dict[str, Any],
    variables: Mapping[Key, str] | None = None,
) -> ConfigError:
    """Turn pydantic's errors about `path`, and about values of the environment, into one readable ConfigError.

    Args:
        document: what was validated, with the values of the environment in it.
        variables: names of environment variables by the key that each of them sets.
    """
    lines = _line_numbers(path)
    found, expected, fixes = [], [], []
    places: list[str] = []
    for item in error.errors():
        key = tuple(part for part in item["loc"] if not _is_tag(part, document, item["loc"]))
        dotted = ".".join(str(part) for part in key) or "(top level)"
        line = _nearest_line(lines, key)
        named = [name for of, name in (variables or {}).items() if of[: len(key)] == key or of == key[: len(of)]]
        if named:
            at = f"{' and '.join(named)} (key `{dotted}`)"
            places.append(f"environment variable {named[0]}")
        else:
            at = f"line {line}, key `{dotted}`" if line else f"key `{dotted}`"
            places.append(f"{path}:{line}" if line else str(path))
        if item["type"] == "extra_forbidden":
            known = _known_keys(model, key[:-1])
            close = difflib.get_close_matches(str(key[-1]), known, n=1)
            found.append(f"{at}: unknown key")
            expected.append(f"one of {', '.join(known)}" if known else "no such key")
            fixes.append(f"did you mean `{close[0]}`?" if close else f"remove `{named[0] if named else dotted}`")
        elif item["type"] == "missing":
            found.append(f"{at}: nothing")
            expected.append("a value (required)")
            fixes.append(f"add `{dotted}`")
        else:
            found.append(f"{at}: {_short(_without_secrets(item.get('input'), _annotation(model, key)))}")
            expected.append(item["msg"].removeprefix("Value error, "))
            fixes.append(f"correct `{named[0] if named else dotted}`")
    where = next((place for place in places if place != str(path)), str(path))
    return ConfigError(where, "; ".join(found), "; ".join(dict.fromkeys(expected)), "; ".join(dict.fromkeys(fixes)))


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, which YAML would silently let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key `{key}` was already given at line {seen[key]}", key_node.start_mark
                )
            seen[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep=deep)


def _load(path: Path) -> Any:
    if not path.exists():
        raise ConfigError(str(path), "no such file", "a YAML file", f"create {path} or point USEROPS_CONFIG elsewhere")
    if path.is_dir():
        raise ConfigError(str(path), "a directory", "a YAML file", f"replace the directory {path} by a file")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(
            f"{path}:{line}",
            str(error.problem),
            "valid YAML without repeated keys",
            "mend the line (indentation, colon, quotes)",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(path), f"bytes that are not UTF-8 ({error.reason})", "UTF-8", "save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(
            str(path), f"a file that cannot be read ({error.strerror})", "a readable file", "correct the file's rights"
        ) from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        # Signs YAML does not allow, a date that no calendar has, a list as a key, brackets without an end.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ConfigError(str(path), reason, "valid YAML", "mend what the message says, or quote the value") from None


def _line_numbers(path: Path) -> dict[Key, int]:
    """Map every key path of the file to its 1-based line."""
    lines: dict[Key, int] = {}
    if not path.is_file():
        return lines
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)

    def walk(node: yaml.Node | None, prefix: Key) -> None:
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                lines[(*prefix, key_node.value)] = key_node.start_mark.line + 1
                walk(value_node, (*prefix, key_node.value))
        elif isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                lines[(*prefix, index)] = child.start_mark.line + 1
                walk(child, (*prefix, index))

    walk(root, ())
    return lines


def _nearest_line(lines: dict[Key, int], key: Key) -> int | None:
    for length in range(len(key), 0, -1):
        if key[:length] in lines:
            return lines[key[:length]]
    return None


def _is_tag(part: int | str, document: Any, loc: Sequence[int | str]) -> bool:
    """Union members put their own name into pydantic's location; such a part is no key of the file."""
    node: Any = document
    for step in loc:
        present = (isinstance(node, dict) and step in node) or (
            isinstance(node, list) and isinstance(step, int) and step < len(node)
        )
        if step is part:
            return not present and step != loc[-1]
        if present:
            node = node[step]
    return False


def _known_keys(model: type[BaseModel], prefix: Key) -> list[str]:
    current: Any = model
    for part in prefix:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        field = current.model_fields.get(str(part))
        current = field.annotation if field else None
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [field.alias or name for name, field in current.model_fields.items()]
    return []


def _annotation(model: type[BaseModel], key: Key) -> Any:
    """Return the declared type of a key; Any where nothing declares it."""
    current: Any = model
    for part in key:
        members = [member for member in _members(current) if _is_model(member) or get_origin(member) is dict]
        if not members:
            return Any
        if _is_model(members[0]):
            field = members[0].model_fields.get(str(part))
            current = field.annotation if field else Any
        else:
            current = get_args(members[0])[1]
    return current


def _without_secrets(value: Any, annotation: Any) -> Any:
    """Return a value as an error may show it: what is declared a SecretStr, at any depth, is not shown."""
    members = _members(annotation)
    if value is not None and SecretStr in members:
        return "***"
    if isinstance(value, dict):
        return {key: _without_secrets(item, _member_of(members, key)) for key, item in value.items()}
    return value


def _member_of(members: Sequence[Any], key: Any) -> Any:
    for member in members:
        if _is_model(member) and key in member.model_fields:
            return member.model_fields[key].annotation
        if get_origin(member) is dict:
            return get_args(member)[1]
    return Any


def _members(annotation: Any) -> Sequence[Any]:
    """Return the types a value of this annotation may have: those of a union, or the one."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
