"""The terminal's commands, by what they are for. Each imports its part when it runs, not before."""
