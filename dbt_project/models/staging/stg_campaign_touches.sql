{#-
    A touch that was sent and then clicked may come as two rows with one id, both with the time of sending: its outcome is
    the one further on. Rows with another date are touches of their own; so are, where the export has no ids, rows with
    another outcome.
-#}
{%- set touches_with_progress -%}
    (
        select
            touches.*,
            {{ outcome_rank("touches.outcome") }} as outcome_rank
        from {{ source("lake", "campaign_touches") }} as touches
    )
{%- endset -%}

select
    touch_id,
    campaign_id,
    user_id,
    touch_time,
    channel,
    variant,
    outcome,
    properties,
    event_date
from (
    {{ one_row_per_key(touches_with_progress, ["event_date", "touch_id"], ["outcome_rank desc", "_row_hash"]) }}
) as campaign_touches
