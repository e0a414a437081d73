"""Files damaged by the thousand, and what must never become of them; see docs/fuzzing.md."""
