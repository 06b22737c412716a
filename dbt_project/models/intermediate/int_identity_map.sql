with

owners as (

    {{ device_owners(ref("int_identity_trusted_links"), ref("int_identity_components")) }}

)

select
    owners.anonymous_id,
    coalesce(accounts.user_id, owners.user_id) as user_id,
    owners.is_direct
from owners
left join {{ ref("int_identity_accounts") }} as accounts
    on owners.user_id = accounts.account_id
