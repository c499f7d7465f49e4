"""How each kind of agent runs commands, and what it says of them: one small file per agent."""
