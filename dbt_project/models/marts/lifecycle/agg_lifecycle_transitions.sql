select
    valid_from as transition_date,
    coalesce(previous_stage, 'none') as from_stage,
    stage as to_stage,
    count(*) as users
from {{ ref("fct_lifecycle_stages") }}
group by valid_from, coalesce(previous_stage, 'none'), stage
