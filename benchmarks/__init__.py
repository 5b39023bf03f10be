"""What raftkafka does on this machine, beside what the machine itself can do; see README.md here."""
