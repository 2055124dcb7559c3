"""Teaching a model facts that it keeps in a session: lessons, the gate, files of sessions, consolidation."""
