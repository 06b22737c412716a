"""The lists people work through: what is on a sheet, its words in two languages, and the files it becomes."""
