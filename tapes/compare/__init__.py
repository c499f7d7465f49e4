"""Two runs held against each other: aligned by what was meant, and what differs told as facts."""
