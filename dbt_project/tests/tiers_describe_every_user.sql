-- dim_users and fct_user_tiers describe the same people, and the persona's tiers are those of fct_user_tiers
select coalesce(users.user_id, tiers.user_id) as user_id
from {{ ref("dim_users") }} as users
full outer join {{ ref("fct_user_tiers") }} as tiers
    on users.user_id = tiers.user_id
left join {{ ref("int_user_personas") }} as personas
    on users.user_id = personas.user_id
where
    users.user_id is null
    or tiers.user_id is null
    or personas.user_id is null
    or personas.level <> tiers.level
    or personas.value_tier <> tiers.value_tier
    or personas.net_revenue <> users.net_revenue
