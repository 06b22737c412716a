{#-
    A touch that was sent and then clicked may come as two rows of one id, both with the time of sending: what came of it is
    the furthest. Rows with another date or, without an id in the export, another outcome are touches of their own.
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
