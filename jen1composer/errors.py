"""The one error for input that a person can mend."""


class BadInput(ValueError):
    """Input that is refused: one line that names the file or flag, the value and what is allowed.

    Commands print the line and exit with status 2; anything else that is raised is a bug and keeps
    its traceback.
    """
