{#
    Incremental strategy `corrected_counts`: a model of counts that is built by user, though its rows belong to nobody.

    A few users change on nearly every date of the past; counting these dates again would cost what history costs. But
    counts can be corrected: what the touched users were counted for is taken off, what they count for now is added. The
    model's query gives the corrections, positive and negative; where everyone is rebuilt, they are the counts. Its meta
    says, beside what models by user say (see touched_keys.sql):

        count_column: users     the column to correct; all others are the key

    The model has to remember what it has counted, by user, in its own transaction: what the followed models hold of a
    user has changed when it comes to its turn.
#}
{% macro get_incremental_corrected_counts_sql(arg_dict) %}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="name") | list -%}
    {%- set count_column = config.get("meta", {}).get("count_column") -%}
    {%- if rebuilds_everything() %}
    delete from {{ target }};
    insert into {{ target }} ({{ columns | join(", ") }})
    select {{ columns | join(", ") }}
    from {{ arg_dict["temp_relation"] }};
    {%- else %}
    merge into {{ target }} as counts
    using {{ arg_dict["temp_relation"] }} as corrections
        on
            {%- for column in columns if column != count_column %}
            {{ "and " if not loop.first }}counts.{{ column }} = corrections.{{ column }}
            {%- endfor %}
    when matched and counts.{{ count_column }} + corrections.{{ count_column }} = 0 then delete
    when matched then update set {{ count_column }} = counts.{{ count_column }} + corrections.{{ count_column }}
    when not matched then insert ({{ columns | join(", ") }}) values (corrections.{{ columns | join(", corrections.") }});
    {%- endif %}
{% endmacro %}
