"""The verbs of the command as functions: a module or package for each."""
