"""Errors that a user is shown as they are: one paragraph that says what is wrong and what to do."""


class UserError(Exception):
    pass
