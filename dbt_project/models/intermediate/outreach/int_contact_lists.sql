{#-
    Each list depends on the one before it as it was handed out, so dates are made one after the other: the first one by
    the model's own query, those after it (a backfill, a full refresh) by the hook behind it.
-#}
{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="append_new_columns",
        pre_hook="{{ start_contact_lists() }}",
        post_hook="{{ continue_contact_lists() }}",
    )
}}
-- depends_on: {{ ref("fct_churn_scores") }}, {{ ref("int_contact_candidates") }}
{{ contact_lists_of(list_dates_to_write()[0], this if is_incremental() else none) }}
