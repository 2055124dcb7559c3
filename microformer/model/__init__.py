"""The transformer and its parts. Nothing here knows where text comes from, how it is trained or who is taught."""
