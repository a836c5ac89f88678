"""Errors that are shown to the user: one paragraph that says what is wrong and what to do."""


class UserError(Exception):
    pass
