{{ config(materialized="view") }}
{%- set settings = var("warning_list") -%}
{%- set days_of_grace = range(1, settings.leave_after_days | int(3)) %}

with

scores as (

    select
        fct_churn_scores.*,
        {{ list_value_ranks("user_value", "user_id") }}
    from {{ ref("fct_churn_scores") }} as fct_churn_scores
    where {{ up_to_as_of("as_of_date") }}

),

decisions as (

    {{ decisions_by_hand("churn_warning") }}

),

-- a listed user may stay for some days below the threshold: one good day is no recovery
scored_users as (

    select
        scores.as_of_date,
        scores.user_id,
        scores.model_version,
        scores.churn_probability,
        scores.user_value,
        scores.expected_loss,
        {{ list_value_tier("scores.user_value") }} as value_tier,
        coalesce(decisions.action = 'add', false) as is_added_by_hand,
        coalesce(decisions.action = 'remove', false) as is_removed_by_hand,
        scores.churn_probability >= {{ settings.stay_probability }}
        {% for days in days_of_grace %}
        or coalesce(scores_{{ days }}.churn_probability >= {{ settings.stay_probability }}, false)
        {% endfor %} as may_stay
    from scores
    {% for days in days_of_grace %}
    left join {{ ref("fct_churn_scores") }} as scores_{{ days }}
        on
            scores.user_id = scores_{{ days }}.user_id
            and {{ add_days("scores.as_of_date", -days) }} = scores_{{ days }}.as_of_date
    {% endfor %}
    left join decisions
        on
            scores.user_id = decisions.user_id
            and scores.as_of_date >= decisions.valid_from
            and (decisions.valid_until is null or scores.as_of_date <= decisions.valid_until)

),

-- with each user's last active day as known on the date
rhythms as (

    select
        scored_users.*,
        rhythm.activity_date as last_active_date,
        {{ days_between("rhythm.activity_date", "scored_users.as_of_date") }} as days_silent,
        {{ mean_gap_days("rhythm") }} as usual_gap_days
    from scored_users
    left join {{ ref("int_user_rhythm") }} as rhythm
        on
            scored_users.user_id = rhythm.user_id
            and scored_users.as_of_date >= rhythm.activity_date
            and (rhythm.next_active_date is null or scored_users.as_of_date < rhythm.next_active_date)
    where
        scored_users.may_stay
        or scored_users.is_added_by_hand

),

candidates as (

    select rhythms.*
    from rhythms
    left join {{ ref("int_list_dates") }} as dates
        on rhythms.as_of_date = dates.as_of_date
    where
        rhythms.is_added_by_hand
        or rhythms.days_silent is null
        or not {{ is_handed_over("rhythms.days_silent", "rhythms.usual_gap_days", "dates.default_gap_days") }}

),

habits as (

    {{ habits_before_silence("candidates", ["as_of_date", "user_id"]) }}

)

select
    candidates.as_of_date,
    candidates.user_id,
    candidates.model_version,
    candidates.churn_probability,
    candidates.user_value,
    candidates.expected_loss,
    candidates.value_tier,
    candidates.churn_probability >= {{ settings.min_probability }} as can_enter,
    candidates.is_added_by_hand,
    candidates.is_removed_by_hand,
    candidates.last_active_date,
    candidates.days_silent,
    candidates.usual_gap_days,
    habits.channel
from candidates
left join habits
    on
        candidates.as_of_date = habits.as_of_date
        and candidates.user_id = habits.user_id
