"""F3: the coordinators of groups - their log, their answers that wait, their time-outs."""
