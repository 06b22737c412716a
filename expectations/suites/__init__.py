"""What is expected: one module per domain; each returns suites, written in the vocabulary of `expectations.checks`."""
