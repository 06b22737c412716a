-- scores of earlier dates are kept, unless their file has been written by another model version since
{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="append_new_columns",
        pre_hook="{{ forget_churn_dates(source('scores', 'churn')) }}",
    )
}}

select
    user_id,
    as_of_date,
    model_version,
    churn_probability,
    raw_score,
    user_value,
    churn_probability * user_value as expected_loss,
    {% for place in [1, 2, 3] -%}
    reason_{{ place }}_code,
    reason_{{ place }}_en,
    reason_{{ place }}_zh,
    reason_{{ place }}_contribution,
    {% endfor -%}
    coalesce(model_is_degraded, false) as model_is_degraded
from {{ source("scores", "churn") }}
where {{ in_churn_dates_to_write(source("scores", "churn")) }}
