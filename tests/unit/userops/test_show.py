"""What `userops show` tells of what is published."""

from __future__ import annotations

import duckdb
from rich.console import Console

from userops.show import show_published

PUBLISHED = """
create table fct_lifecycle_stages as select 'mature' as stage, '成熟期' as stage_zh, true as is_current;
create table export_churn_warning_list as select date '2024-06-30' as as_of_date where false;
create table agg_funnel_conversion as
select funnel_id, 'all' as segment_type, step as step_number, 'step' as step_name, reached, is_complete
from (values
    ('short', true, 1, 10), ('short', true, 2, 5), ('short', false, 1, 90), ('short', false, 2, 1),
    ('long', false, 1, 8), ('long', false, 2, 2)
) as t (funnel_id, is_complete, step, reached)
"""


def test_a_funnel_tells_of_entries_that_are_over_and_of_running_ones_only_where_there_are_no_others(instance):
    settings = instance()
    settings.paths.published_duckdb.parent.mkdir(parents=True)
    with duckdb.connect(str(settings.paths.published_duckdb)) as connection:
        connection.execute(PUBLISHED)
    console = Console(record=True, width=140)
    show_published(settings, console, rows=10)
    screen = console.export_text()
    long, short = screen[screen.index("`long`") :].split("`short`")
    assert "still run" in long
    assert "25.0%" in long
    assert "time is over" in short
    assert "50.0%" in short
