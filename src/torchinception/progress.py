"""How long work tells of itself: the library calls a `Listener`, the command line draws it."""


class Listener:
    """Hears nothing; subclass it to show lines and progress bars."""

    def say(self, text: str) -> None:
        """One line for the user: a choice that was made, a file that was written."""

    def progress(self, task: str, done: int, total: int, **figures: float) -> None:
        """`done` of `total` units of `task` are finished; `figures` are shown beside the bar.

        A `total` of 0: how many there will be is not known.
        """
