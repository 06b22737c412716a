{# Statistics. None sums up fractions over rows, so that no result depends on their order. #}

{# Median of a number over a group, as a double; the mean of the middle two where their number is even. #}
{% macro median_of(expression) -%}
    {{ return(adapter.dispatch("median_of", "userops")(expression)) }}
{%- endmacro %}

{% macro default__median_of(expression) -%}
    cast(percentile({{ expression }}, 0.5) as double)
{%- endmacro %}

{% macro duckdb__median_of(expression) -%}
    cast(median({{ expression }}) as double)
{%- endmacro %}


{#
    Lower or upper bound of Wilson's score interval of a share: E. B. Wilson, "Probable inference, the law of succession,
    and statistical inference", Journal of the American Statistical Association 22 (1927), 209-212.

    part, whole  counts (expressions); the bound is null where `whole` is 0
    z            quantile of the normal distribution, 1.96 for 95 %
    sign         "-" for the lower bound, "+" for the upper one
#}
{% macro wilson_bound(part, whole, z, sign) -%}
    (
        ({{ part }} + {{ z }} * {{ z }} / 2.0
        {{ sign }} {{ z }} * sqrt({{ part }} * (1.0 - {{ share(part, whole) }}) + {{ z }} * {{ z }} / 4.0))
        / nullif({{ whole }} + {{ z }} * {{ z }}, case when {{ whole }} = 0 then {{ z }} * {{ z }} end)
    )
{%- endmacro %}


{#
    Lower or upper bound of the interval of a difference of two independent shares from their Wilson bounds: method 10 of
    R. G. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17
    (1998), 873-890. All arguments are column names. Lower bound: own = lower bound of the first share, other = upper
    bound of the second one; upper bound the other way round.
#}
{% macro newcombe_bound(first_share, second_share, own_bound, other_bound, sign) -%}
    (
        {{ first_share }} - {{ second_share }} {{ sign }} sqrt(
            ({{ first_share }} - {{ own_bound }}) * ({{ first_share }} - {{ own_bound }})
            + ({{ other_bound }} - {{ second_share }}) * ({{ other_bound }} - {{ second_share }})
        )
    )
{%- endmacro %}


{#
    Quantile of Student's t with `degrees` of freedom (an expression) that belongs to the normal quantile `z` (a number):
    the Cornish-Fisher expansion of M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions" (1964), 26.7.5; off by less
    than 1 % from five degrees on.
#}
{% macro t_quantile(z, degrees) -%}
    (
        {{ z }}
        + {{ (z ** 3 + z) / 4 }} / {{ degrees }}
        + {{ (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96 }} / ({{ degrees }} * {{ degrees }})
        + {{ (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384 }} / ({{ degrees }} * {{ degrees }} * {{ degrees }})
    )
{%- endmacro %}


{# Sample variance of values from their number, sum and sum of squares; null below two values. #}
{% macro sample_variance(number, total, squares_total) -%}
    (
        greatest(
            cast({{ squares_total }} as double)
            - cast({{ total }} as double) * cast({{ total }} as double) / nullif(cast({{ number }} as double), 0),
            0
        ) / nullif(case when {{ number }} > 1 then cast({{ number }} - 1 as double) end, 0)
    )
{%- endmacro %}
