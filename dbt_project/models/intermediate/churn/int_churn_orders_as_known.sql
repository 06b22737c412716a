with

observation_dates as (

    {{ observation_dates() }}

),

accounts_as_known as (

    select
        as_of_date,
        id as account_id,
        user_id
    from {{ ref("int_churn_identities") }}
    where kind = 'user'

)

select
    dates.as_of_date,
    coalesce(accounts.user_id, ledger.user_id) as user_id,
    ledger.order_id,
    ledger.order_date,
    {{ days_between("ledger.order_date", "dates.as_of_date") }} as days_ago,
    max(case when ledger.purchases > 0 then ledger.channel end) as channel,
    sum(ledger.purchases) as purchases,
    sum(ledger.gross_amount) as gross_amount,
    sum(ledger.discount_amount) as discount_amount,
    sum(ledger.refund_amount) as refund_amount
from {{ ref("int_churn_order_ledger") }} as ledger
inner join observation_dates as dates
    on
        ledger.known_date <= dates.as_of_date
        and ledger.order_date <= dates.as_of_date
left join accounts_as_known as accounts
    on
        dates.as_of_date = accounts.as_of_date
        and ledger.user_id = accounts.account_id
group by 1, 2, 3, 4, 5
