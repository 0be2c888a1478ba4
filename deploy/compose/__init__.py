"""The job of compose.yaml that makes its secrets."""
