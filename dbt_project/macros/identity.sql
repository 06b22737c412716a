{# Whose event it is: the logged-in user, else the user the device was last seen with, else a visitor of that device. #}
{% macro resolved_user_id(user_id, mapped_user_id, anonymous_id) -%}
    coalesce({{ user_id }}, {{ mapped_user_id }}, {{ dbt.concat(["'anon:'", anonymous_id]) }})
{%- endmacro %}


{# Dates on which int_events credits a device's events to somebody else than the identity map does now. #}
{% macro restitched_dates() -%}
    select stored.event_date as business_date
    from {{ this }} as stored
    left join {{ ref("int_identity_map") }} as identities
        on stored.anonymous_id = identities.anonymous_id
    where
        not stored.is_logged_in
        and stored.user_id <> {{ resolved_user_id("null", "identities.user_id", "stored.anonymous_id") }}
{%- endmacro %}
