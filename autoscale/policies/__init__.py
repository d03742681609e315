"""Online policies: what an operator could see -> what an operator could do."""
