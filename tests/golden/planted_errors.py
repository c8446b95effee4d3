"""The list of planted errors; the planted_*.py modules add to it.

An error is a function of the pipeline and of patch(object, name, value), which sets an attribute
until the run is over.
"""

ERRORS = []  # (label, case that should catch it, function)


def error(label, case):
    """Decorator: adds the function to the list."""
    def add(function):
        ERRORS.append((label, case, function))
        return function
    return add
