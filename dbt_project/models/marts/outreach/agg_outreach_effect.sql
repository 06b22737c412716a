{%- set settings = var("outreach").effect -%}
{%- set z = settings.interval_z | float -%}
{%- set segments = ["reason", "action", "value_tier", "team"] -%}
{#- The 99.9 % quantile of chi-square with one degree of freedom: a fair draw exceeds it once in a thousand times. -#}
{%- set sample_ratio_limit = 10.828 %}

with

list_rows as (

    select
        'churn_warning' as list_name,
        as_of_date,
        user_id as listed_user_id,
        reason_1_code as reason,
        action_code as action,
        value_tier,
        team,
        is_manual,
        is_holdout,
        experiment_from,
        holdout_share
    from {{ ref("churn_warning_list") }}

    union all

    select
        'winback' as list_name,
        as_of_date,
        user_id as listed_user_id,
        trigger_kind as reason,
        action_code as action,
        value_tier,
        team,
        is_manual,
        is_holdout,
        experiment_from,
        holdout_share
    from {{ ref("winback_list") }}

),

-- lists have the user ids of their date; accounts that have become one person since are taken together
persons as (

    select
        list_rows.*,
        coalesce(accounts.user_id, list_rows.listed_user_id) as user_id
    from list_rows
    left join {{ ref("int_identity_accounts") }} as accounts
        on list_rows.listed_user_id = accounts.account_id

),

ranked_rows as (

    select
        persons.*,
        row_number() over (
            partition by list_name, experiment_from, user_id
            order by as_of_date, listed_user_id
        ) as row_rank
    from persons
    where experiment_from is not null

),

-- each user once per experiment, by the first list; users put on by hand were not drawn and do not take part
participants as (

    select *
    from ranked_rows
    where
        row_rank = 1
        and not is_manual
        and {{ add_days("as_of_date", settings.window_days) }} <= {{ as_of() }}

),

returns as (

    select distinct
        participants.list_name,
        participants.experiment_from,
        participants.user_id
    from participants
    inner join {{ ref("fct_user_days") }} as days
        on
            participants.user_id = days.user_id
            and participants.as_of_date < days.activity_date
            and {{ add_days("participants.as_of_date", settings.window_days) }} >= days.activity_date

),

-- from orders, not active days: a refund on a day without a purchase makes no active day
revenues as (

    select
        participants.list_name,
        participants.experiment_from,
        participants.user_id,
        sum(orders.net_amount) as net_revenue
    from participants
    inner join {{ ref("fct_orders") }} as orders
        on
            participants.user_id = orders.user_id
            and participants.as_of_date < orders.order_date
            and {{ add_days("participants.as_of_date", settings.window_days) }} >= orders.order_date
    where not orders.is_cancelled
    group by participants.list_name, participants.experiment_from, participants.user_id

),

contacts as (

    select distinct
        participants.list_name,
        participants.experiment_from,
        participants.user_id
    from participants
    inner join {{ ref("int_outreach") }} as outreach
        on
            participants.user_id = outreach.user_id
            and participants.as_of_date <= outreach.outreach_date
            and {{ add_days("participants.as_of_date", settings.window_days) }} >= outreach.outreach_date
            and participants.list_name = coalesce(outreach.list_name, participants.list_name)
    where outreach.is_contacted

),

outcomes as (

    select
        participants.list_name,
        participants.experiment_from,
        participants.reason,
        participants.action,
        participants.value_tier,
        participants.team,
        participants.is_holdout,
        participants.holdout_share,
        case when contacts.user_id is not null then 1 else 0 end as contacted,
        case when returns.user_id is not null then 1 else 0 end as returned,
        cast(coalesce(revenues.net_revenue, 0) as decimal(18, 2)) as net_revenue
    from participants
    left join returns
        on
            participants.list_name = returns.list_name
            and participants.experiment_from = returns.experiment_from
            and participants.user_id = returns.user_id
    left join revenues
        on
            participants.list_name = revenues.list_name
            and participants.experiment_from = revenues.experiment_from
            and participants.user_id = revenues.user_id
    left join contacts
        on
            participants.list_name = contacts.list_name
            and participants.experiment_from = contacts.experiment_from
            and participants.user_id = contacts.user_id

),

segmented as (

    select
        outcomes.*,
        'all' as segment_type,
        'all' as segment_value
    from outcomes
    {%- for segment in segments %}

    union all

    select
        outcomes.*,
        '{{ segment }}' as segment_type,
        coalesce({{ segment }}, 'none') as segment_value
    from outcomes
    {%- endfor %}

),

counted as (

    select
        list_name,
        experiment_from,
        segment_type,
        segment_value,
        {%- for arm, condition in [("listed", "not is_holdout"), ("holdout", "is_holdout")] %}
        sum(case when {{ condition }} then 1 else 0 end) as {{ arm }}_users,
        sum(case when {{ condition }} then returned else 0 end) as {{ arm }}_returned,
        sum(case when {{ condition }} then contacted else 0 end) as {{ arm }}_contacted,
        sum(case when {{ condition }} then net_revenue else 0 end) as {{ arm }}_revenue,
        sum(case when {{ condition }} then cast(net_revenue * net_revenue as decimal(38, 4)) else 0 end)
            as {{ arm }}_revenue_squares,
        {%- endfor %}
        sum(case when not is_holdout and contacted = 1 then returned else 0 end) as contacted_returned,
        sum(holdout_share) as expected_holdout_users
    from segmented
    group by list_name, experiment_from, segment_type, segment_value

),

rates as (

    select
        counted.*,
        {%- for arm in ["listed", "holdout"] %}
        {{ share(arm ~ "_returned", arm ~ "_users") }} as {{ arm }}_return_rate,
        {{ wilson_bound(arm ~ "_returned", arm ~ "_users", z, "-") }} as {{ arm }}_return_rate_low,
        {{ wilson_bound(arm ~ "_returned", arm ~ "_users", z, "+") }} as {{ arm }}_return_rate_high,
        {{ share(arm ~ "_revenue", arm ~ "_users") }} as {{ arm }}_revenue_per_user,
        {{ sample_variance(arm ~ "_users", arm ~ "_revenue", arm ~ "_revenue_squares") }}
        / nullif(cast({{ arm }}_users as double), 0) as {{ arm }}_mean_variance,
        {%- endfor %}
        {{ share("contacted_returned", "listed_contacted") }} as contacted_return_rate,
        {{ share("listed_contacted", "listed_users") }} - coalesce({{ share("holdout_contacted", "holdout_users") }}, 0)
            as contacted_share_difference,
        listed_users + holdout_users - expected_holdout_users as expected_listed_users
    from counted

),

differences as (

    select
        rates.*,
        listed_return_rate - holdout_return_rate as return_rate_difference,
        {{ newcombe_bound(
            "listed_return_rate", "holdout_return_rate", "listed_return_rate_low", "holdout_return_rate_high", "-"
        ) }} as return_rate_difference_low,
        {{ newcombe_bound(
            "listed_return_rate", "holdout_return_rate", "listed_return_rate_high", "holdout_return_rate_low", "+"
        ) }} as return_rate_difference_high,
        listed_revenue_per_user - holdout_revenue_per_user as revenue_difference,
        listed_mean_variance + holdout_mean_variance as variance_of_difference,
        -- Welch and Satterthwaite's
        (listed_mean_variance + holdout_mean_variance) * (listed_mean_variance + holdout_mean_variance)
        / nullif(
            listed_mean_variance * listed_mean_variance / nullif(listed_users - 1, 0)
            + holdout_mean_variance * holdout_mean_variance / nullif(holdout_users - 1, 0),
            0
        ) as degrees_of_freedom,
        case
            when expected_holdout_users >= 5 and expected_listed_users >= 5
                then
                    (holdout_users - expected_holdout_users) * (holdout_users - expected_holdout_users)
                    / expected_holdout_users
                    + (listed_users - expected_listed_users) * (listed_users - expected_listed_users)
                    / expected_listed_users
        end as sample_ratio_chi2
    from rates

),

bounded as (

    select
        differences.*,
        -- without any purchase there are no degrees of freedom, but no error either: the margin is 0
        coalesce({{ t_quantile(z, "degrees_of_freedom") }}, {{ z }}) * sqrt(variance_of_difference) as revenue_margin,
        return_rate_difference_low / nullif(contacted_share_difference, 0) as effect_at_low,
        return_rate_difference_high / nullif(contacted_share_difference, 0) as effect_at_high
    from differences

)

select
    list_name,
    experiment_from,
    segment_type,
    segment_value,
    {{ settings.window_days }} as window_days,
    cast(listed_users as bigint) as listed_users,
    cast(holdout_users as bigint) as holdout_users,
    cast(listed_contacted as bigint) as contacted_users,
    cast(holdout_contacted as bigint) as holdout_contacted_users,
    sample_ratio_chi2,
    sample_ratio_chi2 <= {{ sample_ratio_limit }} as is_sample_ratio_ok,
    cast(listed_returned as bigint) as listed_returned,
    listed_return_rate,
    listed_return_rate_low,
    listed_return_rate_high,
    cast(holdout_returned as bigint) as holdout_returned,
    holdout_return_rate,
    holdout_return_rate_low,
    holdout_return_rate_high,
    return_rate_difference,
    return_rate_difference_low,
    return_rate_difference_high,
    return_rate_difference * listed_users as returns_gained,
    return_rate_difference_low * listed_users as returns_gained_low,
    return_rate_difference_high * listed_users as returns_gained_high,
    cast(contacted_returned as bigint) as contacted_returned,
    contacted_return_rate,
    return_rate_difference / nullif(contacted_share_difference, 0) as contact_effect,
    -- where more of the held out were contacted, the division turns the interval round
    least(effect_at_low, effect_at_high) as contact_effect_low,
    greatest(effect_at_low, effect_at_high) as contact_effect_high,
    listed_revenue_per_user,
    holdout_revenue_per_user,
    revenue_difference,
    revenue_difference - revenue_margin as revenue_difference_low,
    revenue_difference + revenue_margin as revenue_difference_high,
    cast(revenue_difference * listed_users as decimal(18, 2)) as revenue_gained,
    cast((revenue_difference - revenue_margin) * listed_users as decimal(18, 2)) as revenue_gained_low,
    cast((revenue_difference + revenue_margin) * listed_users as decimal(18, 2)) as revenue_gained_high,
    '{{ var("currency") }}' as currency
from bounded
