"""From an unknown export file to a source YAML a person only has to read: sampling, guessing, proposing, checking."""
