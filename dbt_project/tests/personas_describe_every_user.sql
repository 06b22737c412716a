-- dim_users and dim_user_personas describe the same people
select coalesce(users.user_id, personas.user_id) as user_id
from {{ ref("dim_users") }} as users
full outer join {{ ref("dim_user_personas") }} as personas
    on users.user_id = personas.user_id
where
    users.user_id is null
    or personas.user_id is null
