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
