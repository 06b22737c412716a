{#
    Connected components of undirected graphs: a query giving one row per graph and node, with the smallest node of
    its component.

    edges     relation with the columns of `graph_key`, node_a and node_b (text)
    graph_key columns that tell graphs apart; an edge joins nodes of its own graph
#}
{% macro connected_components(edges, graph_key) -%}
    {{ return(adapter.dispatch("connected_components", "userops")(edges, graph_key)) }}
{%- endmacro %}

{# Plain recursion: right, but it writes down every pair of nodes that reach each other. An engine that is given large
   components deserves a version of its own. #}
{% macro default__connected_components(edges, graph_key) -%}
    {%- set key = graph_key | join(", ") -%}
    select
        {{ key }},
        node,
        min(reached) as component
    from (
        with recursive

        directed as (

            select {{ key }}, node_a as node, node_b as neighbour from {{ edges }}
            union
            select {{ key }}, node_b as node, node_a as neighbour from {{ edges }}

        ),

        reachable as (

            select {{ key }}, node, node as reached from directed
            union
            select {% for column in graph_key %}reachable.{{ column }}, {% endfor %}reachable.node, directed.neighbour
            from reachable
            inner join directed
                on
                    reachable.reached = directed.node
                    {% for column in graph_key %}and reachable.{{ column }} = directed.{{ column }} {% endfor %}

        )

        select * from reachable
    ) as closure
    group by {{ key }}, node
{%- endmacro %}

{# A node with a single neighbour belongs where that one does: most devices have one user, so of most graphs little is left
   without these leaves. Of the rest every node points at a smaller or equal one, at first at itself or a neighbour. In each
   round a node, and what it points at, moves on to the smallest node that it or a neighbour can see two steps away. So
   distances halve: a chain of n nodes takes about log2(n) rounds (this is FastSV, by Zhang, Azad and Hu). Rounds end when
   nothing moves. #}
{% macro duckdb__connected_components(edges, graph_key) -%}
    {%- set key = graph_key | join(", ") -%}
    with recursive

    endpoints as (

        select {{ key }}, node_a as node from {{ edges }}
        union
        select {{ key }}, node_b as node from {{ edges }}

    ),

    numbered as materialized (

        select {{ key }}, node, row_number() over (order by {{ key }}, node) as number from endpoints

    ),

    numbered_edges as materialized (

        select one.number as node, other.number as neighbour
        from {{ edges }} as edges
        inner join numbered as one
            on edges.node_a = one.node {% for column in graph_key %}and edges.{{ column }} = one.{{ column }} {% endfor %}
        inner join numbered as other
            on edges.node_b = other.node {% for column in graph_key %}and edges.{{ column }} = other.{{ column }} {% endfor %}
        where one.number <> other.number

    ),

    all_directed as materialized (

        select node, neighbour from numbered_edges
        union all
        select neighbour, node from numbered_edges

    ),

    single_neighbours as materialized (

        select node, min(neighbour) as neighbour
        from all_directed
        group by node
        having min(neighbour) = max(neighbour)

    ),

    -- of two nodes that have but each other, one is the leaf
    leaves as materialized (

        select ends.node, ends.neighbour as stem
        from single_neighbours as ends
        left join single_neighbours as others on ends.neighbour = others.node
        where others.node is null or ends.node > ends.neighbour

    ),

    directed as materialized (

        select all_directed.node, all_directed.neighbour
        from all_directed
        left join leaves on all_directed.node = leaves.node
        left join leaves as neighbouring_leaves on all_directed.neighbour = neighbouring_leaves.node
        where leaves.node is null and neighbouring_leaves.node is null

    ),

    pointers (node, target) using key (node) as (

        select node, min(least(node, neighbour)) from directed group by node
        union
        (
            with

            two_steps as (

                select pointers.node, pointers.target, onward.target as onward
                from recurring.pointers as pointers
                inner join recurring.pointers as onward on pointers.target = onward.node

            ),

            best_around as (

                select directed.node, min(two_steps.onward) as onward
                from directed
                inner join two_steps on directed.neighbour = two_steps.node
                where exists (select 1 from pointers)
                group by directed.node

            ),

            moves as (

                select node, onward from two_steps
                union all
                select node, onward from best_around
                union all
                select two_steps.target as node, best_around.onward
                from best_around
                inner join two_steps on best_around.node = two_steps.node

            ),

            best_moves as (

                select node, min(onward) as target from moves group by node

            )

            select best_moves.node, best_moves.target
            from best_moves
            inner join recurring.pointers as pointers on best_moves.node = pointers.node
            where best_moves.target < pointers.target
        )

    ),

    rooted as (

        select numbered.number, coalesce(pointers.target, leaves.stem, numbered.number) as root
        from numbered
        left join leaves on numbered.number = leaves.node
        left join pointers on coalesce(leaves.stem, numbered.number) = pointers.node

    ),

    smallest_nodes as (

        select root, min(number) as number from rooted group by root

    )

    select {% for column in graph_key %}numbered.{{ column }}, {% endfor %}numbered.node, names.node as component
    from rooted
    inner join numbered on rooted.number = numbered.number
    inner join smallest_nodes on rooted.root = smallest_nodes.root
    inner join numbered as names on smallest_nodes.number = names.number
{%- endmacro %}
