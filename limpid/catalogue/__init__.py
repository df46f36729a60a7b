"""What there is to choose from: every part by name, with its formula, source, options and pitfalls. No torch here."""
