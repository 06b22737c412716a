-- the current interval of a user's history says what dim_users says
select
    history.user_id,
    history.valid_from
from {{ ref("dim_user_personas_history") }} as history
inner join {{ ref("dim_users") }} as users
    on history.user_id = users.user_id
where
    history.is_current
    and (
        {% for column in [
            "gender", "region", "city", "acquisition_channel", "referrer_user_id", "roles", "consent_email", "consent_sms",
            "consent_push",
        ] %}
        history.{{ column }} is distinct from users.{{ column }}{{ " or" if not loop.last }}
        {% endfor %}
    )
