"""Published lists sent to the people who work through them: by e-mail, and as a notice to a chat group's robot.

It reads only what is published, and the ledger remembers what was sent where, so that nobody gets a list twice.
"""
