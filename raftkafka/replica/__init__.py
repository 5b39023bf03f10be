"""F1: replication's arithmetic - follower progress to ISR and high watermark, where to truncate, epoch history. Pure."""
