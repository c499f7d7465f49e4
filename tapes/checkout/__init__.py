"""Taking a moment of a session out of the archive: what was said up to it (`tapes.session.transcript`), the files there
were (`files`, `replay`), how things stood (`state`), put into a directory (`taking`, `folder`). Nothing is executed."""
