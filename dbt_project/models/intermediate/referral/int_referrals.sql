-- without referrers that are no user, and without two accounts of one person that invited each other
select
    invited.user_id,
    invited.referrer_user_id,
    invited.first_seen_date,
    invited.identified_from,
    invited.first_active_date,
    invited.orders
from {{ ref("dim_users") }} as invited
inner join {{ ref("dim_users") }} as referrers
    on invited.referrer_user_id = referrers.user_id
where
    referrers.is_identified
    and invited.user_id <> referrers.user_id
