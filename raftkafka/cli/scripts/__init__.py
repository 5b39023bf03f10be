"""Kafka's command-line tools under their own names (`kafka-topics.sh`, ...), a module each. Floor 5.

Their options are those of Kafka 2.4 and the newer spellings, their output and exit codes Kafka's; where they differ, docs/cli.md
says so. Each is installed as a console script and calls `entry.start`.
"""
