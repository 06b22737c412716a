with

trusted_links as (

    {{ trusted_links(ref("int_identity_pairs"), ref("int_identity_hubs")) }}

)

select
    account_id,
    user_id
from ({{ account_owners("trusted_links", ref("int_identity_components")) }}) as accounts
