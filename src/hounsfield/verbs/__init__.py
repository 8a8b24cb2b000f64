"""What the command does, as functions: a module or package for each verb."""
