"""How fast Kipu is, beside what no engine can beat: `make bench`. See docs/performance.md."""
