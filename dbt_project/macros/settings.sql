{# Sections of config/userops.yml that definitions of the marts depend on: (name there, what is set). #}
{% macro definition_sections() -%}
    {{ return([
        ("project", {"timezone": var("timezone"), "currency": var("currency")}),
        ("identity", var("identity")),
        ("sessions", {"gap_minutes": var("session_gap_minutes")}),
        ("taxonomy", {"unlisted_is_activity": var("unlisted_is_activity")}),
        ("orders", var("orders")),
        ("lifecycle", var("lifecycle")),
        ("product_stage", var("product_stage")),
        ("persona", var("persona")),
        ("tiers", var("tiers")),
        ("retention", var("retention")),
        ("activation", var("activation")),
        ("user_paths", var("user_paths")),
        ("referral", var("referral")),
        ("aarrr", var("aarrr")),
        ("churn", var("churn")),
        ("warning_list", var("warning_list")),
        ("winback_list", var("winback_list")),
        ("outreach", var("outreach")),
    ]) }}
{%- endmacro %}


{# Put (dotted name, value as text or none) into `found` for everything that a section sets; a list is one value. The
   salt of the random hold-out is left out: whoever knows it can tell who is held out. #}
{% macro collect_settings(found, name, value) -%}
    {%- if value is mapping -%}
        {%- for key, inner in value.items() -%}
            {%- do collect_settings(found, name ~ "." ~ key, inner) -%}
        {%- endfor -%}
    {%- elif value is none -%}
        {%- do found.append((name, none)) -%}
    {%- elif value is iterable and value is not string and value | select("mapping") | list | length == 0 -%}
        {%- do found.append((name, value | join(", "))) -%}
    {%- elif name != "outreach.holdout.salt" -%}
        {%- do found.append((name, value if value is string else tojson(value))) -%}
    {%- endif -%}
{%- endmacro %}
