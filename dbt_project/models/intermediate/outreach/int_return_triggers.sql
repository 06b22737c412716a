{%- set trigger_days = var("winback_list").trigger_days %}

with

-- the first trace on the day of the return: what came later that day did not bring the user back
returns as (

    select
        spells.user_id,
        spells.last_active_date,
        spells.returned_on,
        days.first_event_at as returned_at,
        {{ add_days("spells.returned_on", "-" ~ trigger_days) }} as triggers_from
    from {{ ref("int_churn_spells") }} as spells
    left join {{ ref("fct_user_days") }} as days
        on
            spells.user_id = days.user_id
            and spells.returned_on = days.activity_date
    where spells.returned_on is not null

),

triggers as (

    select
        returns.user_id,
        returns.returned_on,
        'contact' as trigger_kind,
        coalesce(outreach.channel, 'unknown') as trigger_value
    from returns
    inner join {{ ref("int_outreach") }} as outreach
        on
            returns.user_id = outreach.user_id
            and returns.returned_on >= outreach.outreach_date
            and returns.triggers_from <= outreach.outreach_date
            and returns.last_active_date < outreach.outreach_date
            and (returns.returned_at is null or returns.returned_at >= outreach.outreach_time)
    where outreach.is_contacted

    union

    select
        returns.user_id,
        returns.returned_on,
        'campaign' as trigger_kind,
        touches.campaign_id as trigger_value
    from returns
    inner join {{ ref("fct_campaign_touches") }} as touches
        on
            returns.user_id = touches.user_id
            and returns.returned_on >= touches.touch_date
            and returns.triggers_from <= touches.touch_date
            and returns.last_active_date < touches.touch_date
            and (returns.returned_at is null or returns.returned_at >= touches.touched_at)

    union

    select
        returns.user_id,
        returns.returned_on,
        'coupon' as trigger_kind,
        orders.coupon_code as trigger_value
    from returns
    inner join {{ ref("fct_orders") }} as orders
        on
            returns.user_id = orders.user_id
            and returns.returned_on = orders.order_date
    where
        orders.is_purchase
        and coalesce(orders.coupon_code, '') <> ''

    union

    select
        returns.user_id,
        returns.returned_on,
        'category' as trigger_kind,
        items.category as trigger_value
    from returns
    inner join {{ ref("fct_order_items") }} as items
        on
            returns.user_id = items.user_id
            and returns.returned_on = items.order_date
    where
        items.is_purchase
        and items.line_amount > 0
        and items.category is not null

    union

    select
        returns.user_id,
        returns.returned_on,
        'channel' as trigger_kind,
        days.primary_channel as trigger_value
    from returns
    inner join {{ ref("fct_user_days") }} as days
        on
            returns.user_id = days.user_id
            and returns.returned_on = days.activity_date
    where days.primary_channel is not null

)

select
    user_id,
    returned_on,
    trigger_kind,
    trigger_value
from triggers
