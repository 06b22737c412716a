select *
from ({{ hub_ids(ref("int_identity_pairs")) }}) as hubs
