"""The JSON API: a module per resource, each with its values, its handlers and its rows of the route table."""
