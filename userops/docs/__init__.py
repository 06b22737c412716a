"""The dbt project as documentation: its conventions checked, its data dictionary and lineage picture written from it.

Everything here reads dbt's manifest (`dbt parse`, no warehouse needed), so that pages and checks speak of the very
project that is built.
"""
