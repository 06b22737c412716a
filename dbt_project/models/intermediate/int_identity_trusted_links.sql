{{ config(materialized="view") }}

{{ trusted_links(ref("int_identity_pairs"), ref("int_identity_hubs")) }}
