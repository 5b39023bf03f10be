"""F0: ids, error codes, settings, request and response values. Pure; imports nothing of ours."""
