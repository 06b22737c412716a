{# Lengths of silence of churned users. #}

{# Lengths of silence that churned users are grouped by: number, first day, name. #}
{% macro winback_silence_bands() %}
    {% set unit = var("lifecycle").churned_after_days | int %}
    {% set bands = [] %}
    {% set factors = [1, 2, 3, 6] %}
    {% for factor in factors %}
        {% set last_day = none if loop.last else unit * factors[loop.index] - 1 %}
        {% do bands.append({
            "number": loop.index,
            "from_days": unit * factor,
            "name": (unit * factor) ~ ("+" if last_day is none else "-" ~ last_day),
        }) %}
    {% endfor %}
    {{ return(bands) }}
{% endmacro %}


{# Query of these lengths of silence: silence_band, from_days. #}
{% macro winback_silence_bands_table() -%}
    {%- for band in winback_silence_bands() %}
    select
        {{ band.number }} as silence_band,
        {{ band.from_days }} as from_days
    {{- " union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#
    Query of the lengths of silence from which the chance to come back is counted: silence_step, from_days. Most who come
    back do so early, so the chance falls fast at first and the first steps are short.
#}
{% macro winback_silence_steps_table() -%}
    {% set unit = var("lifecycle").churned_after_days | int %}
    {% set starts = [] %}
    {% for sixths in [6, 7, 8, 9, 10, 11, 12, 15, 18, 24, 36, 72] %}
        {% set from_days = unit * sixths // 6 %}
        {% do starts.append(from_days) if from_days not in starts %}
    {% endfor %}
    {%- for from_days in starts %}
    select
        {{ loop.index }} as silence_step,
        {{ from_days }} as from_days
    {{- " union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{# Name of a length of silence, such as `30-59`, in days. #}
{% macro silence_band_name(silence_band) -%}
    case {{ silence_band }}
        {%- for band in winback_silence_bands() %}
        when {{ band.number }} then '{{ band.name }}'
        {%- endfor %}
    end
{%- endmacro %}
