"""The canary: finds out in a real account whether what this project assumes of AWS holds. See docs/canary.md."""
