{#- A row's business date is the end of its horizon, so that a late active day rebuilds exactly the rows it changes. -#}
{%- set horizon_ends_on = add_days("as_of_date", churn_window_days()) -%}
{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={
            "business_date": "horizon_ends_on",
            "follows": ["fct_user_days"],
            "stale_dates": "dates_of_unjudged_horizons",
            "settings": ["churn.lead_days", "churn.horizon_days", "warning_list.max_users"],
        },
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

with

scores as (

    select
        as_of_date,
        model_version,
        {{ add_days("as_of_date", var("churn")["lead_days"]) }} as lead_ends_on,
        {{ horizon_ends_on }} as horizon_ends_on,
        user_id,
        churn_probability
    from {{ ref("fct_churn_scores") }}
    where
        {{ in_touched_dates(horizon_ends_on) }}
        and {{ up_to_as_of(horizon_ends_on) }}

),

returned as (

    select distinct
        scores.as_of_date,
        scores.model_version,
        scores.user_id
    from scores
    left join {{ ref("int_identity_accounts") }} as accounts
        on scores.user_id = accounts.account_id
    inner join {{ ref("fct_user_days") }} as days
        on
            coalesce(accounts.user_id, scores.user_id) = days.user_id
            and scores.lead_ends_on < days.activity_date
            and scores.horizon_ends_on >= days.activity_date

),

judged as (

    select
        scores.as_of_date,
        scores.model_version,
        scores.horizon_ends_on,
        scores.churn_probability,
        case when returned.user_id is null then 1 else 0 end as is_churned,
        row_number() over (
            partition by scores.as_of_date, scores.model_version
            order by scores.churn_probability desc, scores.user_id
        ) as risk_rank,
        ntile(10) over (
            partition by scores.as_of_date, scores.model_version
            order by scores.churn_probability, scores.user_id
        ) as risk_tenth
    from scores
    left join returned
        on
            scores.as_of_date = returned.as_of_date
            and scores.model_version = returned.model_version
            and scores.user_id = returned.user_id

),

-- for AUC: pairs of a churned and a kept user with equal probabilities count half
by_probability as (

    select
        as_of_date,
        model_version,
        churn_probability,
        count(*) as users,
        sum(is_churned) as churned_users
    from judged
    group by as_of_date, model_version, churn_probability

),

pairs as (

    select
        as_of_date,
        model_version,
        churned_users,
        users - churned_users as kept_users,
        sum(users - churned_users) over (
            partition by as_of_date, model_version
            order by churn_probability
            rows between unbounded preceding and current row
        ) - (users - churned_users) as kept_below
    from by_probability

),

ranking as (

    select
        as_of_date,
        model_version,
        {{ share("sum(churned_users * (2 * kept_below + kept_users))", "(2 * sum(churned_users) * sum(kept_users))") }}
            as auc
    from pairs
    group by as_of_date, model_version

),

tenths as (

    select
        as_of_date,
        model_version,
        risk_tenth,
        count(*) as users,
        sum(is_churned) as churned_users,
        sum(cast(churn_probability as decimal(18, 9))) as expected_churned_users
    from judged
    group by as_of_date, model_version, risk_tenth

),

calibration as (

    select
        as_of_date,
        model_version,
        {{ share("sum(abs(expected_churned_users - churned_users))", "sum(users)") }} as calibration_error
    from tenths
    group by as_of_date, model_version

),

totals as (

    select
        as_of_date,
        model_version,
        horizon_ends_on,
        count(*) as users,
        sum(is_churned) as churned_users,
        sum(cast(churn_probability as decimal(18, 9))) as expected_churned_users,
        sum(case when risk_rank <= {{ var("warning_list")["max_users"] }} then 1 else 0 end) as list_users,
        sum(case when risk_rank <= {{ var("warning_list")["max_users"] }} then is_churned else 0 end)
            as list_churned_users
    from judged
    group by as_of_date, model_version, horizon_ends_on

)

select
    totals.as_of_date,
    totals.model_version,
    totals.horizon_ends_on,
    totals.users,
    cast(totals.churned_users as bigint) as churned_users,
    {{ share("totals.churned_users", "totals.users") }} as churn_rate,
    {{ share("totals.expected_churned_users", "totals.users") }} as predicted_churn_rate,
    ranking.auc,
    cast(totals.list_users as bigint) as list_users,
    {{ share(
        "cast(totals.list_churned_users as double) * totals.users",
        "cast(totals.list_users as double) * totals.churned_users"
    ) }} as lift_at_list,
    calibration.calibration_error
from totals
inner join ranking
    on
        totals.as_of_date = ranking.as_of_date
        and totals.model_version = ranking.model_version
inner join calibration
    on
        totals.as_of_date = calibration.as_of_date
        and totals.model_version = calibration.model_version
