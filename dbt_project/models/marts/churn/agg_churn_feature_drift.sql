-- drift of earlier dates is kept, unless its file has been written by another model version since
{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="append_new_columns",
        pre_hook="{{ forget_churn_dates(source('scores', 'churn_monitoring')) }}",
    )
}}

select
    as_of_date,
    model_version,
    feature,
    reason_group,
    psi,
    case
        when psi > 0.25 then 'large'
        when psi > 0.1 then 'moderate'
        else 'small'
    end as drift,
    unknown_share,
    unknown_share_training,
    users
from {{ source("scores", "churn_monitoring") }}
where {{ in_churn_dates_to_write(source("scores", "churn_monitoring")) }}
