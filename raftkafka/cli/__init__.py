"""F5: `rk`, a module per noun."""
