"""The canonical entities every export is mapped to: columns, types, units, keys, what is required, what is PII."""

from userops.contracts.entities import ENTITIES, TECHNICAL_COLUMNS, Column, ColumnType, Entity, entity

__all__ = ["ENTITIES", "TECHNICAL_COLUMNS", "Column", "ColumnType", "Entity", "entity"]
