"""`adapter` for sqlfluff: a dispatched macro becomes a function call of its name, which is all a linter needs."""

from __future__ import annotations

from collections.abc import Callable


def dispatch(name: str, package: str) -> Callable[..., str]:
    """Return a stand-in for the macro `name` of `package`."""
    del package

    def render(*arguments: object) -> str:
        # the macros whose result is more than an expression
        if name == "date_spine":
            return f"select calendar_date from {arguments[-1]}"
        if name == "row_per_judged_number":
            return f"select * from {arguments[0]}"
        if name == "connected_components":
            return f"select node from {arguments[0]}"
        if name == "left_join_valid_at":
            return f"left join {arguments[0]} as {arguments[1]} on {arguments[3]} = {arguments[1]}.{arguments[2]}"
        if name in ("not_materialized", "worked_out_once"):
            return ""
        return f"{name}({', '.join(str(argument) for argument in arguments)})"

    return render
