"""What no contest can show, of Kipu alone: `make bench TRIAL=...`. See docs/performance.md."""
