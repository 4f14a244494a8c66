"""The questions as data, which choices are open or closed and why, and the route that follows."""
