"""What the agent really runs, and what its terminal shows: the shims in its shells, their reports, and the relay."""
