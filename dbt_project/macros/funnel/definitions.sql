{# The configured funnels, as the models see them. #}

{# Step columns of fct_funnel_progress: its contract has this many, however few steps the configured funnels have. #}
{% macro funnel_step_columns() %}{{ return(10) }}{% endmacro %}


{# How many steps the funnel models compute: those of the longest configured funnel, at least two. #}
{% macro funnel_steps_built() %}
    {% set steps = var("funnel_max_steps") | int %}
    {% if steps > funnel_step_columns() %}
        {{ exceptions.raise_compiler_error(
            "config/funnels.yml: found a funnel with " ~ steps ~ " steps; expected at most " ~ funnel_step_columns()
            ~ ". What to do: split the funnel in two."
        ) }}
    {% endif %}
    {{ return([steps, 2] | max) }}
{% endmacro %}


{# Query of the funnels, each with its window. #}
{% macro funnel_windows() -%}
    select distinct
        funnel_id,
        funnel_number,
        window_seconds
    from {{ ref("int_funnel_event_names") }}
{%- endmacro %}
