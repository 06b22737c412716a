with

scores as (

    select
        user_id,
        churn_probability,
        row_number() over (partition by user_id order by model_version desc) as version_rank
    from {{ ref("fct_churn_scores") }}
    where as_of_date = {{ as_of() }}

)

select
    personas.user_id,
    personas.is_identified,
    personas.registered_at,
    personas.age,
    personas.age_band,
    personas.gender,
    personas.region,
    personas.city,
    personas.city_tier,
    personas.city_tier_zh,
    personas.acquisition_channel,
    personas.first_campaign_id,
    personas.referrer_user_id,
    personas.consent_email,
    personas.consent_sms,
    personas.consent_push,
    personas.preferred_channel,
    personas.channels_used,
    personas.preferred_device,
    personas.devices_used,
    personas.active_hour,
    personas.active_daypart,
    personas.active_weekday,
    personas.first_seen_date,
    personas.active_days,
    personas.first_active_date,
    personas.last_active_date,
    personas.days_since_last_active,
    personas.usual_gap_days,
    personas.interest_1,
    personas.interest_1_share,
    personas.interest_2,
    personas.interest_2_share,
    personas.interest_3,
    personas.interest_3_share,
    personas.top_category,
    personas.orders,
    personas.gross_revenue,
    personas.net_revenue,
    personas.average_order_value,
    personas.discount_share,
    personas.price_sensitivity,
    personas.refund_share,
    personas.first_order_date,
    personas.last_order_date,
    personas.days_since_last_order,
    personas.sessions,
    personas.page_views,
    personas.interactions,
    personas.contributions,
    personas.roles,
    personas.is_buyer,
    personas.is_seller,
    personas.is_author,
    personas.is_reader,
    personas.is_moderator,
    personas.recency_score,
    personas.frequency_score,
    personas.monetary_score,
    personas.rfm_segment,
    personas.rfm_segment_en,
    personas.rfm_segment_zh,
    personas.trailing_net_revenue,
    personas.value_tier,
    personas.value_tier_zh,
    personas.frequency_tier,
    personas.frequency_tier_zh,
    personas.tenure_tier,
    personas.tenure_tier_zh,
    personas.buyer_tier,
    personas.buyer_tier_zh,
    personas.seller_tier,
    personas.seller_tier_zh,
    personas.author_tier,
    personas.author_tier_zh,
    personas.reader_tier,
    personas.reader_tier_zh,
    personas.moderator_tier,
    personas.moderator_tier_zh,
    personas.level,
    personas.level_points,
    personas.lifecycle_stage,
    personas.lifecycle_stage_zh,
    personas.lifecycle_stage_since,
    scores.churn_probability,
    case
        when scores.churn_probability is null then 'not_scored'
        else {{ risk_band("scores.churn_probability") }}
    end as churn_risk_band,
    assignments.segment_id,
    segments.segment_name_en,
    segments.segment_name_zh,
    personas.as_of_date
from {{ ref("int_user_personas") }} as personas
left join scores
    on
        personas.user_id = scores.user_id
        and scores.version_rank = 1
left join {{ ref("fct_persona_segments") }} as assignments
    on
        personas.user_id = assignments.user_id
        and personas.as_of_date = assignments.as_of_date
left join {{ ref("dim_persona_segments") }} as segments
    on
        assignments.as_of_date = segments.as_of_date
        and assignments.segment_id = segments.segment_id
