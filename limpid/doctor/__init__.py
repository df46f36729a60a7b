"""What is wrong? Rules read the rows of a record, of this run or an old one, and return findings. No torch in here."""
