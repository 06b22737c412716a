{# Figures of users up to their last active day that personas and lists have in common. #}

{# Mean days between the active days so far in a row of int_user_rhythm, long gaps too; null with fewer than three days. #}
{% macro mean_gap_days(rhythm) -%}
    case
        when {{ rhythm }}.active_days_so_far >= 3
            then {{ share(
                days_between(rhythm ~ ".first_active_date", rhythm ~ ".activity_date"),
                "(" ~ rhythm ~ ".active_days_so_far - 1)"
            ) }}
    end
{%- endmacro %}


{#
    Query of one row per key of a relation with a user_id and a last_active_date: the active days of the 90 days up to the
    last active day, and the channel most used on them.
#}
{% macro habits_before_silence(relation, keys) -%}
    select
        {{ keys | join(", ") }},
        max(case when channel_rank = 1 then primary_channel end) as channel,
        sum(active_days) as active_days
    from (
        select
            days_by_channel.*,
            row_number() over (
                partition by {{ keys | join(", ") }}
                order by case when primary_channel is null then 1 else 0 end, active_days desc, primary_channel
            ) as channel_rank
        from (
            select
                {{ relation }}.{{ keys | join(", " ~ relation ~ ".") }},
                days.primary_channel,
                count(*) as active_days
            from {{ relation }}
            inner join {{ ref("fct_user_days") }} as days
                on
                    {{ relation }}.user_id = days.user_id
                    and {{ relation }}.last_active_date >= days.activity_date
                    and {{ add_days(relation ~ ".last_active_date", -90) }} < days.activity_date
            group by {{ relation }}.{{ keys | join(", " ~ relation ~ ".") }}, days.primary_channel
        ) as days_by_channel
    ) as ranked_channels
    group by {{ keys | join(", ") }}
{%- endmacro %}
