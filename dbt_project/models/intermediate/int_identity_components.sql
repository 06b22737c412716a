with

edges as (

    {{ identity_edges(ref("int_identity_trusted_links")) }}

)

select components.*
from ({{ connected_components("edges", ["as_of_date", "graph"]) }}) as components
