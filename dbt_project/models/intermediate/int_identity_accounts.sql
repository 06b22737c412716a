select
    account_id,
    user_id
from ({{ account_owners(ref("int_identity_trusted_links"), ref("int_identity_components")) }}) as accounts
