select
    as_of_date,
    source,
    step,
    kind,
    severity,
    file_path,
    message
from {{ source("lake_control", "source_notes") }}
