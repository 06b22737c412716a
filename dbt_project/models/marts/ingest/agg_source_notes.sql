select
    as_of_date,
    source,
    step,
    kind,
    severity,
    file_path,
    message
from {{ ref("stg_source_notes") }}
where {{ up_to_as_of("as_of_date") }}
