"""What a business means by its words: files an operator edits, checked, and written as small tables for dbt."""
