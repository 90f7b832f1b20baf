"""The gateway, alone in facing the internet: verifies, stores, answers 200; looks at each message for danger."""
