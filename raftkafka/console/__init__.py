"""F4: the console that every node serves - a JSON API under `/api/v1`, and the pages that use it. Imported when first asked for."""
