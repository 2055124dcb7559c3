"""One module for each command of the command line; ``microformer.cli`` says what such a module holds."""
