"""How well people are found: labelled questions, rivals asked the same, and a judge."""
