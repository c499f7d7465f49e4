"""Searching: what is typed (`query`), what the index is asked (`plan`, `narrow`), and what is found (`find`)."""
