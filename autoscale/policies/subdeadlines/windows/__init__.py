"""Windows of paths: the time to the deadline shared out along chains."""
