{# Models by date whose row of a date depends on the days before it, too. #}

{# Query of the dates that one of the followed models has rebuilt since this model's last run, as far as they are known
   by date (a rebuild of everything has none, and rebuilds this model as well). #}
{% macro dates_rebuilt_by(followed_model) -%}
    select log.business_date
    from pipeline_state.rebuilt_dates as log
    inner join pipeline_state.watermarks as watermarks
        on
            log.model_name = watermarks.input_name
            and log.rebuild > watermarks.consumed
    where
        watermarks.model_name = '{{ this.identifier }}'
        and watermarks.input_name = '{{ followed_model }}'
        and log.business_date is not null
{%- endmacro %}


{# Longest trailing window of daily engagement, in days: that of monthly active users. #}
{% macro engagement_window_days() %}{{ return(30) }}{% endmacro %}


{# Dates on which a trailing window still holds an active day that was rebuilt upstream. #}
{% macro dates_that_look_back_on_touched_dates() -%}
    {%- set later_date = add_days("touched.business_date", "numbers.days_later") -%}
    select {{ later_date }} as business_date
    from ({{ dates_rebuilt_by("fct_user_days") }}) as touched
    cross join {{ whole_numbers(1, engagement_window_days() - 1, "days_later") }}
    where {{ up_to_as_of(later_date) }}
{%- endmacro %}


{# Condition that keeps what the rows of this run look back on: the `days` days up to each touched date, as literal
   ranges (only literals let the engine skip the rest), or everything up to the as-of date. #}
{% macro in_window_of_touched_dates(business_date, days) %}
    {%- set dates = touched_dates() -%}
    {%- if dates is none -%}
        {{ up_to_as_of(business_date) }}
    {%- else -%}
        {%- set ranges = [] -%}
        {%- for day in dates | sort if day <= var("as_of_date") -%}
            {%- set last = modules.datetime.date.fromisoformat(day) -%}
            {%- set first = last - modules.datetime.timedelta(days=days - 1) -%}
            {%- if ranges and first <= ranges[-1][1] -%}
                {%- do ranges.append((ranges.pop()[0], last)) -%}
            {%- else -%}
                {%- do ranges.append((first, last)) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- set conditions = [] -%}
        {%- for first, last in ranges -%}
            {%- do conditions.append(
                business_date ~ " between cast('" ~ first ~ "' as date) and cast('" ~ last ~ "' as date)"
            ) -%}
        {%- endfor -%}
        {{ "(" ~ conditions | join(" or ") ~ ")" if conditions else "false" }}
    {%- endif -%}
{% endmacro %}
