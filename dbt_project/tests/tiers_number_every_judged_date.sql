-- int_user_tier_history holds as many judged dates as judged_numbers() counts; more would be left out
select count(*) as judged_dates
from {{ ref("int_tier_dates") }}
having count(*) > {{ judged_numbers() | length }}
