with

user_periods as (

    {% for grain, last_number in retention_grains() %}
    {%- set last_period = period_start(grain, "users.last_active_date") %}
    select
        periods.grain,
        periods.period_start,
        periods.first_period_start,
        coalesce(users.acquisition_channel, 'unknown') as acquisition_channel,
        {{ periods_between(grain, "periods.first_period_start", "periods.period_start") }} as periods_since_first,
        least(
            {{ periods_between(grain, "periods.period_start", last_period) }}, {{ last_number }}
        ) as periods_until_last
    from {{ ref("int_user_periods") }} as periods
    inner join {{ ref("dim_users") }} as users
        on periods.user_id = users.user_id
    where periods.grain = '{{ grain }}'
    {{ "union all" if not loop.last }}
    {% endfor %}

),

-- users of a cohort by the period, counted from the cohort's own, in which they were last active
last_activity as (

    select
        grain,
        'recurring' as cohort_kind,
        period_start as cohort_start,
        acquisition_channel,
        periods_until_last as period_number,
        count(*) as users
    from user_periods
    group by grain, period_start, acquisition_channel, periods_until_last

    union all

    select
        grain,
        'first_ever' as cohort_kind,
        first_period_start as cohort_start,
        acquisition_channel,
        periods_until_last as period_number,
        count(*) as users
    from user_periods
    where periods_since_first = 0
    group by grain, first_period_start, acquisition_channel, periods_until_last

),

activity as (

    select
        grain,
        'first_ever' as cohort_kind,
        first_period_start as cohort_start,
        acquisition_channel,
        periods_since_first as period_number,
        count(*) as users
    from user_periods
    group by grain, first_period_start, acquisition_channel, periods_since_first

    union all

    select
        grain,
        'recurring' as cohort_kind,
        cohort_start,
        acquisition_channel,
        period_number,
        users
    from {{ ref("int_retention_returns") }}

    union all

    select
        grain,
        cohort_kind,
        cohort_start,
        acquisition_channel,
        0 as period_number,
        sum(users) as users
    from last_activity
    where cohort_kind = 'recurring'
    group by grain, cohort_kind, cohort_start, acquisition_channel

),

counts as (

    select
        grain,
        cohort_kind,
        cohort_start,
        acquisition_channel,
        period_number,
        users as active_users,
        0 as last_active_users
    from activity

    union all

    select
        grain,
        cohort_kind,
        cohort_start,
        acquisition_channel,
        period_number,
        0 as active_users,
        users as last_active_users
    from last_activity

),

counts_of_segments as (

    {% for segment_type in retention_segment_types() %}
    select
        grain,
        cohort_kind,
        cohort_start,
        '{{ segment_type }}' as segment_type,
        {{ segment_value(segment_type) }} as segment_value,
        period_number,
        sum(active_users) as active_users,
        sum(last_active_users) as last_active_users
    from counts
    group by grain, cohort_kind, cohort_start, {{ segment_value(segment_type) }}, period_number
    {{ "union all" if not loop.last }}
    {% endfor %}

),

cohorts as (

    select
        grain,
        cohort_kind,
        cohort_start,
        segment_type,
        segment_value,
        sum(last_active_users) as cohort_users
    from counts_of_segments
    group by grain, cohort_kind, cohort_start, segment_type, segment_value

),

-- every period that has begun, including those in which nobody was active
cells as (

    {% for grain, last_number in retention_grains() %}
    {%- set period = period_after(grain, "cohorts.cohort_start", "numbers.period_number") %}
    select
        cohorts.*,
        numbers.period_number,
        {{ period }} as period_start,
        {{ next_period_start(grain, period) }} <= {{ add_days(as_of(), 1) }} as is_complete
    from cohorts
    cross join {{ whole_numbers(0, last_number, "period_number") }}
    where
        cohorts.grain = '{{ grain }}'
        and {{ up_to_as_of(period) }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

retained as (

    select
        cells.*,
        coalesce(counts_of_segments.active_users, 0) as retained_users,
        sum(coalesce(counts_of_segments.last_active_users, 0)) over (
            partition by cells.grain, cells.cohort_kind, cells.cohort_start, cells.segment_type, cells.segment_value
            order by cells.period_number desc
            rows between unbounded preceding and current row
        ) as retained_unbounded
    from cells
    left join counts_of_segments
        on
            cells.grain = counts_of_segments.grain
            and cells.cohort_kind = counts_of_segments.cohort_kind
            and cells.cohort_start = counts_of_segments.cohort_start
            and cells.segment_type = counts_of_segments.segment_type
            and cells.segment_value = counts_of_segments.segment_value
            and cells.period_number = counts_of_segments.period_number

)

select
    grain,
    cohort_kind,
    cohort_start,
    segment_type,
    segment_value,
    cast(period_number as integer) as period_number,
    period_start,
    cast(cohort_users as bigint) as cohort_users,
    cast(retained_users as bigint) as retained_users,
    cast(retained_unbounded as bigint) as retained_unbounded,
    {{ share("retained_users", "cohort_users") }} as retention_rate,
    {{ share("retained_unbounded", "cohort_users") }} as unbounded_retention_rate,
    is_complete
from retained
