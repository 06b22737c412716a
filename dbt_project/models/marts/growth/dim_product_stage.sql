{%- set settings = var("product_stage") -%}
{%- set dimensions = growth_dimensions() %}

with

activated as (

    select
        period_start as month_start,
        count(*) as activated_users
    from {{ ref("int_user_periods") }}
    where
        grain = 'month'
        and growth_status = 'new'
        and active_days >= {{ settings.activation_active_days }}
    group by period_start

),

paying as (

    select
        {{ period_start("month", "activity_date") }} as month_start,
        count(distinct user_id) as paying_users
    from {{ ref("fct_user_days") }}
    where orders > 0
    group by {{ period_start("month", "activity_date") }}

),

months as (

    select
        growth.period_start as month_start,
        growth.is_complete,
        growth.active_users as mau,
        growth.new_users,
        growth.returning_users,
        growth.resurrecting_users,
        growth.dormant_users,
        growth.retention_rate,
        coalesce(activated.activated_users, 0) as activated_users,
        coalesce(paying.paying_users, 0) as paying_users,
        row_number() over in_order as month_number,
        lag(growth.active_users, {{ settings.growth_months }}) over in_order as mau_months_before,
        lag(growth.active_users) over in_order as last_mau,
        max(growth.active_users) over so_far as largest_mau,
        sum(case when growth.is_complete then 1 else 0 end) over so_far as complete_months,
        sum(growth.new_users) over so_far - growth.new_users as users_before
    from {{ ref("agg_growth_accounting") }} as growth
    left join activated
        on growth.period_start = activated.month_start
    left join paying
        on growth.period_start = paying.month_start
    where growth.grain = 'month'
    window
        in_order as (order by growth.period_start),
        so_far as (
            order by growth.period_start
            rows between unbounded preceding and current row
        )

),

-- The first month is nothing to compare with: it may be incomplete, and everybody is new in it.
measures as (

    select
        months.*,
        case when month_number > {{ settings.growth_months }} + 1 then mau_months_before end as earlier_mau,
        users_before - coalesce(last_mau, 0) as dormant_before
    from months

),

-- a running month is not judged itself, unless it is the first: it has the judgement of the month before
figures as (

    select
        measures.*,
        is_complete or month_number = 1 as is_judged,
        cast(mau - earlier_mau as double) / greatest(earlier_mau, 1) as mau_growth,
        {{ share("new_users", "mau") }} as new_share,
        {{ share("activated_users", "new_users") }} as activation_rate,
        {{ share("paying_users", "mau") }} as paying_rate,
        {{ share("resurrecting_users", "dormant_before") }} as recall_rate
    from measures

),

-- the first rule that matches wins
rules as (

    select
        figures.*,
        case
            when largest_mau < {{ settings.min_mau }} then 'too_few_users'
            when complete_months < {{ settings.min_months }} then 'too_young'
            when mau < {{ settings.min_mau }} and mau_growth < {{ settings.growth_rate }} then 'too_few_users_again'
            when mau_growth <= -{{ settings.decline_rate }} then 'shrinks'
            when mau_growth < {{ settings.growth_rate }} then 'stays'
            when new_share < {{ settings.growth_new_share }} then 'grows_without_new_users'
            else 'grows'
        end as rule
    from figures
    where is_judged

),

stages as (

    select
        month_start,
        rule,
        mau,
        case rule
            when 'too_few_users' then 'cold_start'
            when 'too_young' then 'cold_start'
            when 'too_few_users_again' then 'decline'
            when 'shrinks' then 'decline'
            when 'grows' then 'growth'
            else 'maturity'
        end as stage,
        case rule
            when 'too_few_users' then 'largest_mau'
            when 'too_young' then 'complete_months'
            when 'too_few_users_again' then 'mau'
            when 'grows_without_new_users' then 'new_share'
            else 'mau_growth'
        end as decided_by,
        case rule
            when 'too_few_users' then cast(largest_mau as double)
            when 'too_young' then cast(complete_months as double)
            when 'too_few_users_again' then cast(mau as double)
            when 'grows_without_new_users' then new_share
            else mau_growth
        end as decided_value,
        cast(
            case rule
                when 'too_few_users' then {{ settings.min_mau }}
                when 'too_young' then {{ settings.min_months }}
                when 'too_few_users_again' then {{ settings.min_mau }}
                when 'shrinks' then -{{ settings.decline_rate }}
                when 'grows_without_new_users' then {{ settings.growth_new_share }}
                else {{ settings.growth_rate }}
            end as double
        ) as decided_threshold
    from rules

),

dimension_values as (

    {% for dimension in dimensions %}
    {%- set target = settings.targets[dimension.metric] -%}
    select
        month_start,
        month_number,
        '{{ dimension.name }}' as dimension,
        '{{ dimension.metric }}' as metric,
        {{ loop.index }} as dimension_order,
        cast({{ dimension.metric }} as double) as actual,
        cast({{ "null" if target is none else target }} as double) as target
    from figures
    where is_judged
    {{ "union all" if not loop.last }}
    {% endfor %}

),

trailing_medians as (

    select
        months.month_start,
        months.dimension,
        {{ median_of("earlier.actual") }} as trailing_median
    from dimension_values as months
    inner join dimension_values as earlier
        on
            months.dimension = earlier.dimension
            and earlier.month_number between
            greatest(months.month_number - {{ settings.trailing_months }}, 2) and months.month_number - 1
    group by months.month_start, months.dimension
    having count(earlier.actual) >= {{ settings.min_trailing_months }}

),

measured as (

    select
        dimension_values.month_start,
        dimension_values.dimension,
        dimension_values.metric,
        dimension_values.dimension_order,
        dimension_values.actual,
        coalesce(dimension_values.target, trailing_medians.trailing_median) as reference,
        case when dimension_values.target is null then 'trailing_median' else 'target' end as reference_kind
    from dimension_values
    left join trailing_medians
        on
            dimension_values.month_start = trailing_medians.month_start
            and dimension_values.dimension = trailing_medians.dimension

),

gaps as (

    select
        measured.*,
        1 - actual / nullif(reference, 0) as gap
    from measured

),

gaps_of_month as (

    select
        {% for dimension in dimensions -%}
        max(case when dimension = '{{ dimension.name }}' then gap end) as {{ dimension.name }}_gap,
        {% endfor -%}
        month_start
    from gaps
    group by month_start

),

largest_gaps as (

    select
        gaps.*,
        row_number() over (partition by month_start order by gap desc, dimension_order) as gap_rank
    from gaps
    where gap > 0

),

-- while a product has too few users, winning users is the principal problem, whatever its rates are
judgements as (

    select
        {% for dimension in dimensions -%}
        gaps_of_month.{{ dimension.name }}_gap,
        {% endfor -%}
        stages.month_start,
        stages.stage,
        stages.decided_by,
        stages.decided_value,
        stages.decided_threshold,
        case
            when stages.rule = 'too_few_users' then 'acquisition'
            else coalesce(problems.dimension, 'none')
        end as principal_problem,
        case when stages.rule = 'too_few_users' then 'mau' else problems.metric end as problem_metric,
        case
            when stages.rule = 'too_few_users' then cast(stages.mau as double)
            else problems.actual
        end as problem_value,
        case
            when stages.rule = 'too_few_users' then cast({{ settings.min_mau }} as double)
            else problems.reference
        end as problem_reference,
        case
            when stages.rule = 'too_few_users' then 'min_mau'
            else problems.reference_kind
        end as problem_reference_kind,
        case
            when stages.rule = 'too_few_users' then 1 - cast(stages.mau as double) / {{ settings.min_mau }}
            else problems.gap
        end as problem_gap
    from stages
    inner join gaps_of_month
        on stages.month_start = gaps_of_month.month_start
    left join largest_gaps as problems
        on
            stages.month_start = problems.month_start
            and problems.gap_rank = 1

),

figures_with_judged_month as (

    select
        figures.*,
        max(case when is_judged then month_start end) over (
            order by month_start
            rows between unbounded preceding and current row
        ) as judged_month
    from figures

)

select
    figures.month_start,
    figures.is_complete,
    figures.judged_month,
    judgements.stage,
    {{ product_stage_zh("judgements.stage") }} as stage_zh,
    judgements.decided_by,
    judgements.decided_value,
    judgements.decided_threshold,
    judgements.principal_problem,
    {{ growth_dimension_zh("judgements.principal_problem") }} as principal_problem_zh,
    judgements.problem_metric,
    judgements.problem_value,
    judgements.problem_reference,
    judgements.problem_reference_kind,
    judgements.problem_gap,
    {% for dimension in dimensions -%}
    judgements.{{ dimension.name }}_gap,
    {% endfor -%}
    cast(figures.complete_months as bigint) as complete_months,
    figures.mau,
    figures.earlier_mau,
    figures.mau_growth,
    figures.new_users,
    figures.returning_users,
    figures.resurrecting_users,
    figures.dormant_users,
    cast(figures.dormant_before as bigint) as dormant_before,
    cast(figures.activated_users as bigint) as activated_users,
    cast(figures.paying_users as bigint) as paying_users,
    figures.new_share,
    figures.activation_rate,
    figures.paying_rate,
    figures.retention_rate,
    figures.recall_rate
from figures_with_judged_month as figures
inner join judgements
    on figures.judged_month = judgements.month_start
