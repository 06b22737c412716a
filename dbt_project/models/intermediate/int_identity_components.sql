with

trusted_links as (

    {{ trusted_links(ref("int_identity_pairs"), ref("int_identity_hubs")) }}

),

edges as (

    {{ identity_edges("trusted_links") }}

)

select components.*
from ({{ connected_components("edges", ["as_of_date", "graph"]) }}) as components
