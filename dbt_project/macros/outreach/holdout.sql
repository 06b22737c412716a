{# The experiment behind the lists: who is held out at random, and since when. #}

{# First day of the experiment that a date belongs to. #}
{% macro experiment_start(day) -%}
    {{ period_start(var("outreach").holdout.window, day) }}
{%- endmacro %}


{# Whether a user is held out in the experiment that starts on a date: drawn once per user and experiment. #}
{% macro is_held_out(user_id, experiment_start_date) -%}
    {%- set holdout = var("outreach").holdout -%}
    {%- set salt = "'" ~ (holdout.salt | replace("'", "''")) ~ ":'" -%}
    {%- set date_text = "cast(" ~ experiment_start_date ~ " as " ~ dbt.type_string() ~ ")" -%}
    {{ drawn_share(dbt.concat([salt, date_text, "':'", user_id])) }} < cast('{{ holdout.share }}' as double)
{%- endmacro %}
