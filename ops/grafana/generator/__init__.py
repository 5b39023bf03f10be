"""The dashboards for Grafana, as values: a panel is a title, a unit, queries, and what to do when it looks bad."""
