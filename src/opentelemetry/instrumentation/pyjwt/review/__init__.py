"""Rules of misuse, and what finds it in the trail."""
